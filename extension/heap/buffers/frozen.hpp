// Arrays and other blocks of memory in the heap.
//
// A frozen buffer describes a block: its address, shape, strides and format, and what it was. It is
// of the kind `buffer`, hence never seen by Python code: every interpreter makes its own object of
// it on first touch (materialise.cpp), which reads the block where it lies.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstdint>
#include <vector>

#include "heap/types.hpp"

namespace firn::heap {
class Copier;
struct Deferred;
struct Freezing;
}  // namespace firn::heap

namespace firn::heap::buffers {

// What a buffer was; firn.buffers has the same numbers.
enum class Origin : std::uint32_t {
  ndarray = 1,
  numpy_scalar,
  array,        // firn.Array
  byte_array,   // bytearray
  typed_array,  // array.array
  memory_view,  // memoryview, and exporters that do not pickle (mmap)
  objects,      // an ndarray that holds Python objects: those are in `inner`, in C order
};

struct FrozenBuffer {
  PyObject_HEAD PyObject* inner;  // an exact tuple or nullptr. structured: (pickle of numpy's
                                  // dtype, fields); objects: (elements..., pickle of the dtype)
  FaceKind kind;                  // buffer
  std::uint16_t flags;            // kUnchanging
  Origin origin;
  PyObject* extra;  // nullptr
  char* data;       // the first element; the block begins at a multiple of 64
  Py_ssize_t itemsize;
  Py_ssize_t ndim;
  const char* format;     // PEP 3118, in the segment
  const char* typestr;    // numpy's; array.array: its typecode
  Py_ssize_t extents[1];  // the shape, then the strides in bytes
};

// What a freeze has copied: blocks of the originals' memory, so that views of one memory share one.
class Blocks {
 public:
  // The copy of the memory [first, last), or nullptr when it is not in a block.
  char* find(const char* first, const char* last) const;
  void add(const char* first, const char* last, char* copy) {
    blocks_.push_back({first, last, copy});
  }

 private:
  struct Block {
    const char* first;
    const char* last;
    char* copy;
  };
  std::vector<Block> blocks_;
};

// The parts of make_twin.hpp's functions that are about buffers. describe() may run Python code: a
// new reference, nullptr without an exception when the value is no buffer, with one when it cannot
// be frozen.
PyObject* describe(PyObject* original);
bool is_description(PyObject* reduced);
PyObject* make_buffer(Copier& copier, PyObject* original, PyObject* description, bool shared);

// Copies the memory of those among the values that are buffers, on all cores: what overlaps goes
// into one block, unless that would be larger than copies of their own.
void copy_blocks(Freezing& freezing, Copier& copier, const std::vector<Deferred>& values);

// The memory of a lasting segment that the object reads (a slice of a frozen array does), or
// nullptr. With the GIL; runs no code of the user's.
const void* memory_in_heap(PyObject* object);
inline bool reads_heap(PyObject* object) { return memory_in_heap(object) != nullptr; }

// A mutable copy of such an object (new reference).
PyObject* thaw_view(PyObject* object);

// Before anything is frozen.
void init_buffers();

// Whether an interpreter's own object still has the form of the frozen value that it was made of:
// NumPy lets shape, strides and dtype of an array be set, read-only or not. With the GIL; runs no
// code of the user's.
bool keeps_form(PyObject* twin, PyObject* object);

// A mutable copy of what a frozen buffer was (new reference).
PyObject* thaw_buffer(PyObject* frozen);

}  // namespace firn::heap::buffers
