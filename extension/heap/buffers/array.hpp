// firn.Array: an immutable n-dimensional array, over any block of memory.
//
// What workers see of numpy.ndarray, for numpy cannot load in them. The type is made once for each
// interpreter; an array belongs to the interpreter that made it, the memory may be anyone's.
#pragma once

#include "heap/cpython_layout.hpp"

#include <string>
#include <vector>

#include "heap/buffers/dtypes.hpp"
#include "heap/faces/faces.hpp"

namespace firn::heap::buffers {

using faces::Ref;

inline constexpr int kMostDimensions = 64;  // as in NumPy 2

struct Array {
  PyObject_VAR_HEAD  // ob_size: twice ndim
      char* data;    // the first element
  PyObject* base;    // what keeps the memory, or nullptr
  char* owned;       // memory of its own, or nullptr
  PyObject* layout;  // of Num::other: a tuple of fields (name, offset, dtype, format), or a format
  PyObject* weak_references;
  DType dtype;
  int ndim;
  bool hashable;          // no array that anybody sees: what a memoryview reads that can be a key
  Py_ssize_t extents[1];  // the shape, then the strides in bytes

  Py_ssize_t* shape() { return extents; }
  Py_ssize_t* strides() { return extents + ndim; }
  const Py_ssize_t* shape() const { return extents; }
  const Py_ssize_t* strides() const { return extents + ndim; }
  PyObject* object() { return reinterpret_cast<PyObject*>(this); }
};

using Shape = std::vector<Py_ssize_t>;

// An owned Array. Throws nothing, unlike the functions below: those throw Raised.
class ArrayRef {
 public:
  ArrayRef() = default;
  explicit ArrayRef(Array* owned) : ref_(owned ? owned->object() : nullptr) {}
  Array* get() const { return reinterpret_cast<Array*>(ref_.get()); }
  Array* operator->() const { return get(); }
  PyObject* release() { return ref_.release(); }
  explicit operator bool() const { return static_cast<bool>(ref_); }

 private:
  Ref ref_;
};

inline ArrayRef share(Array* array) {
  return ArrayRef(reinterpret_cast<Array*>(Py_NewRef(array->object())));
}

void destroy_array(PyObject* self);
inline bool is_array(PyObject* object) { return Py_TYPE(object)->tp_dealloc == destroy_array; }
inline Array* as_array(PyObject* object) { return reinterpret_cast<Array*>(object); }

// The type of the calling interpreter (borrowed), made on first use.
PyTypeObject* array_type();
// Python's half of arrays, firn.arrays (borrowed).
PyObject* python_half();

inline Py_ssize_t size_of(const Array* array) {
  Py_ssize_t size = 1;
  for (int i = 0; i < array->ndim; ++i) size *= array->shape()[i];
  return size;
}
Shape shape_of(const Array* array);
std::string shape_text(const Py_ssize_t* shape, int ndim);  // "(2,3)", as in numpy's messages

// New memory, C order, its content arbitrary. ValueError for what is too large, MemoryError.
ArrayRef new_array(const DType& dtype, const Shape& shape);
// The same, its axes in the order of memory that `like` has when that has the same shape.
ArrayRef new_array_like(const DType& dtype, const Shape& shape, const Array* like);
// Over the memory of `base`, which may be nullptr for memory that outlives every reader.
ArrayRef new_view(PyObject* base, char* data, const DType& dtype, const Shape& shape,
                  const Shape& strides, PyObject* layout = nullptr);
// Another view of an array's memory.
ArrayRef view_of(Array* array, char* data, const Shape& shape, const Shape& strides);

bool is_contiguous(const Array* array);          // in C order
bool is_fortran_contiguous(const Array* array);  // the first axis runs fastest

// casts.cpp
// `count` elements that are `stride` bytes apart, as contiguous ones of a numeric type.
void cast_run(const DType& from, const char* source, Py_ssize_t stride, Num to, char* target,
              Py_ssize_t count);
// A copy in C order, in native byte order, of the dtype. Numeric to numeric, or between what has
// the same kind.
ArrayRef converted(Array* array, const DType& dtype);
ArrayRef compact(Array* array);  // itself when it is in C order, native and aligned, else a copy

// elements.cpp
PyObject* to_python(const Array* array, const char* at);  // a new reference
PyObject* to_list(const Array* array);
PyObject* item_or_array(ArrayRef array);  // of 0-d arrays their element
// Writes a Python object as an element of a native dtype. `weak`: an integer that does not fit is
// an OverflowError, as NumPy 2 has it.
void set_element(const DType& dtype, char* at, PyObject* value);

// convert.cpp
// An array of any Python object: arrays, buffers, numbers, nested sequences. `dtype` may be
// nullptr.
ArrayRef array_from(PyObject* object, const DType* dtype);
ArrayRef array_from_buffer(PyObject* exporter);  // over its memory

// indexing.cpp
PyObject* subscript(Array* array, PyObject* key);
ArrayRef take(Array* array, Array* indices, int axis);

// shapes.cpp
ArrayRef reshaped(Array* array, Shape shape, bool fortran = false);
ArrayRef transposed(Array* array, const std::vector<int>& axes);
Shape parse_shape(PyObject* object, const char* what);
int parse_axis(Py_ssize_t axis, int ndim);  // numpy's AxisError is a ValueError and an IndexError

// Methods, by file.
extern PyMethodDef shape_methods[];
extern PyMethodDef reduction_methods[];
extern PyMethodDef element_methods[];
extern PyMethodDef order_methods[];
extern PyNumberMethods number_slots;

// operators.cpp
PyObject* compare(PyObject* left, PyObject* right, int operation);
PyObject* apply_named(PyObject* name, PyObject* const* arguments, Py_ssize_t count);

// products.cpp
PyObject* matrix_product(PyObject* left, PyObject* right);
PyObject* dot_product(PyObject* left, PyObject* right);

// The TypeError that a write raises. Always nullptr.
PyObject* refuse_array_write(PyObject* self);

// Runs f, which throws Raised where an exception is set.
template <typename F>
auto guarded(F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const Raised&) {
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  }
  if constexpr (std::is_pointer_v<decltype(f())>) {
    return nullptr;
  } else {
    return -1;
  }
}

inline PyObject* check(PyObject* made) {
  if (!made) throw Raised{};
  return made;
}

}  // namespace firn::heap::buffers
