// x[...]: views by integers, slices, Ellipsis and None; copies by lists, arrays and masks.
#include <numeric>
#include <cstring>

#include "heap/buffers/loops.hpp"

namespace firn::heap::buffers {
namespace {

struct Picked {
  int axis;          // of the view
  ArrayRef indices;  // int64, in C order
};

class Indexer {
 public:
  explicit Indexer(Array* array) : array_(array), data_(array->data) {}

  PyObject* run(PyObject* key) {
    std::vector<PyObject*> items;
    if (PyTuple_Check(key)) {
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i)
        items.push_back(PyTuple_GET_ITEM(key, i));
    } else {
      items.push_back(key);
    }
    // What is no number, slice, Ellipsis or None is made an array first, for masks use up several
    // axes.
    std::vector<ArrayRef> arrays(items.size());
    bool advanced = false;
    int used = 0;
    int ellipses = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      PyObject* const item = items[i];
      if (item == Py_None) continue;
      if (item == Py_Ellipsis) {
        ++ellipses;
        continue;
      }
      if (!PySlice_Check(item) && !is_integer_index(item)) {
        arrays[i] = index_array(item);
        advanced = true;
        if (arrays[i]->dtype.num == Num::boolean) {
          used += arrays[i]->ndim;
          continue;
        }
      }
      ++used;
    }
    if (ellipses > 1) raise(PyExc_IndexError, "an index can only have a single ellipsis ('...')");
    if (used > array_->ndim) {
      raise(PyExc_IndexError, "too many indices for array: array is " +
                                  std::to_string(array_->ndim) + "-dimensional, but " +
                                  std::to_string(used) + " were indexed");
    }
    bool before = false, after = false;  // an advanced index was seen; then something else came
    for (std::size_t i = 0; i < items.size(); ++i) {
      PyObject* const item = items[i];
      const bool number =
          !arrays[i] && item != Py_None && item != Py_Ellipsis && !PySlice_Check(item);
      if (arrays[i] || (number && advanced)) {
        if (after) separated_ = true;
        before = true;
      } else if (before) {
        after = true;
      }
      if (arrays[i]) {
        pick(arrays[i].get());
      } else if (number) {
        if (advanced) {
          pick_number(item);
        } else {
          drop(item);
        }
      } else if (item == Py_None) {
        shape_.push_back(1);
        strides_.push_back(0);
      } else if (item == Py_Ellipsis) {
        for (int left = array_->ndim - used; left > 0; --left) keep();
      } else {
        slice(item);
      }
    }
    while (axis_ < array_->ndim) keep();
    ArrayRef view = view_of(array_, data_, shape_, strides_);
    if (!advanced) {
      const bool element = ellipses == 0;
      return element ? item_or_array(std::move(view)) : view.release();
    }
    return item_or_array(gather(view.get()));
  }

 private:
  static bool is_integer_index(PyObject* item) {
    return PyLong_Check(item)
               ? !PyBool_Check(item)
               : PyIndex_Check(item) && !is_array(item) && !PyObject_CheckBuffer(item);
  }

  // An array of integers or of truth values.
  static ArrayRef index_array(PyObject* item) {
    const bool valid = is_array(item) || PyBool_Check(item) ||
                       (!PyUnicode_Check(item) && !PyBytes_Check(item) &&
                        (PySequence_Check(item) || PyObject_CheckBuffer(item)));
    if (!valid) raise_invalid();
    ArrayRef array = array_from(item, nullptr);
    if (size_of(array.get()) == 0 && !is_array(item))
      return converted(array.get(), dtype_of(Num::int64));
    if (array->dtype.num == Num::boolean) return compact(array.get());
    if (!is_integer(array->dtype.num)) {
      raise(PyExc_IndexError, "arrays used as indices must be of integer (or boolean) type");
    }
    array = converted(array.get(), dtype_of(Num::int64));
    return compact(array.get());
  }

  [[noreturn]] static void raise_invalid() {
    raise(PyExc_IndexError,
          "only integers, slices (`:`), ellipsis (`...`), None and integer or boolean arrays are "
          "valid indices");
  }

  void keep() {
    shape_.push_back(array_->shape()[axis_]);
    strides_.push_back(array_->strides()[axis_]);
    ++axis_;
  }

  Py_ssize_t number_at(PyObject* item) {
    const Py_ssize_t index = PyNumber_AsSsize_t(item, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred()) throw Raised{};
    return index;
  }

  static void check_bounds(Py_ssize_t index, Py_ssize_t extent, int axis) {
    if (index < -extent || index >= extent) {
      raise(PyExc_IndexError, "index " + std::to_string(index) + " is out of bounds for axis " +
                                  std::to_string(axis) + " with size " + std::to_string(extent));
    }
  }

  void drop(PyObject* item) {
    const Py_ssize_t index = number_at(item), extent = array_->shape()[axis_];
    check_bounds(index, extent, axis_);
    data_ += (index < 0 ? index + extent : index) * array_->strides()[axis_];
    ++axis_;
  }

  void slice(PyObject* item) {
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(item, &start, &stop, &step) < 0) throw Raised{};
    const Py_ssize_t count = PySlice_AdjustIndices(array_->shape()[axis_], &start, &stop, step);
    if (count) data_ += start * array_->strides()[axis_];
    shape_.push_back(count);
    strides_.push_back(count > 1 ? array_->strides()[axis_] * step : array_->strides()[axis_]);
    ++axis_;
  }

  void add_picked(ArrayRef indices) {
    const Py_ssize_t extent = array_->shape()[axis_];
    const auto* numbers = reinterpret_cast<const std::int64_t*>(indices->data);
    for (Py_ssize_t i = 0, n = size_of(indices.get()); i < n; ++i)
      check_bounds(numbers[i], extent, axis_);
    picked_.push_back({static_cast<int>(shape_.size()), std::move(indices)});
    keep();
  }

  void pick_number(PyObject* item) {
    ArrayRef index = new_array(dtype_of(Num::int64), {});
    *reinterpret_cast<std::int64_t*>(index->data) = number_at(item);
    add_picked(std::move(index));
  }

  void pick(Array* indices) {
    if (indices->dtype.num != Num::boolean) return add_picked(share(indices));
    if (indices->ndim == 0) {  // True or False: a new axis that is there or not
      ArrayRef index = new_array(dtype_of(Num::int64), {*indices->data != 0});
      if (*indices->data) *reinterpret_cast<std::int64_t*>(index->data) = 0;
      picked_.push_back({static_cast<int>(shape_.size()), std::move(index)});
      shape_.push_back(1);
      strides_.push_back(0);
      return;
    }
    // A mask picks the places where it is true: as many index arrays as it has axes. An axis
    // without any fits every other, as in NumPy.
    for (int i = 0; i < indices->ndim; ++i) {
      if (indices->shape()[i] != 0 && indices->shape()[i] != array_->shape()[axis_ + i]) {
        raise(PyExc_IndexError, "boolean index did not match indexed array along axis " +
                                    std::to_string(axis_ + i) + "; size of axis is " +
                                    std::to_string(array_->shape()[axis_ + i]) +
                                    " but size of corresponding boolean axis is " +
                                    std::to_string(indices->shape()[i]));
      }
    }
    const Py_ssize_t size = size_of(indices);
    const Py_ssize_t count = size - std::count(indices->data, indices->data + size, 0);
    std::vector<ArrayRef> places;
    for (int i = 0; i < indices->ndim; ++i)
      places.push_back(new_array(dtype_of(Num::int64), {count}));
    Py_ssize_t found = 0;
    for (Py_ssize_t at = 0; at < size; ++at) {
      if (!indices->data[at]) continue;
      Py_ssize_t rest = at;
      for (int i = indices->ndim; i-- > 0;) {
        reinterpret_cast<std::int64_t*>(places[static_cast<std::size_t>(i)]->data)[found] =
            rest % indices->shape()[i];
        rest /= indices->shape()[i];
      }
      ++found;
    }
    for (ArrayRef& place : places) add_picked(std::move(place));
  }

  ArrayRef gather(Array* view) {
    Shape picked_shape;
    for (const Picked& one : picked_) {
      const Array* const indices = one.indices.get();
      const auto ndim = static_cast<std::size_t>(indices->ndim);
      if (ndim > picked_shape.size())
        picked_shape.insert(picked_shape.begin(), ndim - picked_shape.size(), 1);
      for (std::size_t i = 0; i < ndim; ++i) {
        Py_ssize_t& extent = picked_shape[picked_shape.size() - 1 - i];
        const Py_ssize_t own = indices->shape()[ndim - 1 - i];
        if (own == extent || own == 1) continue;
        if (extent != 1) {
          std::string shapes;
          for (const Picked& each : picked_)
            shapes += " " + shape_text(each.indices->shape(), each.indices->ndim);
          raise(PyExc_IndexError,
                "shape mismatch: indexing arrays could not be broadcast together with shapes" +
                    shapes);
        }
        extent = own;
      }
    }
    Shape rest_shape, rest_strides;
    const auto is_picked = [&](int axis) {
      return std::any_of(picked_.begin(), picked_.end(),
                         [axis](const Picked& one) { return one.axis == axis; });
    };
    std::size_t place = 0;  // of the picked axes among the others
    for (int i = 0; i < view->ndim; ++i) {
      if (is_picked(i)) continue;
      if (!separated_ && i < picked_.front().axis) ++place;
      rest_shape.push_back(view->shape()[i]);
      rest_strides.push_back(view->strides()[i]);
    }
    Shape shape = rest_shape;
    shape.insert(shape.begin() + static_cast<Py_ssize_t>(place), picked_shape.begin(),
                 picked_shape.end());
    ArrayRef result = new_array(view->dtype, shape);
    result->layout = Py_XNewRef(view->layout);
    Shape outer_strides(result->strides() + place, result->strides() + place + picked_shape.size());
    Shape inner_strides(result->strides(), result->strides() + place);
    inner_strides.insert(inner_strides.end(), result->strides() + place + picked_shape.size(),
                         result->strides() + result->ndim);
    const Py_ssize_t total = std::accumulate(picked_shape.begin(), picked_shape.end(),
                                             Py_ssize_t{1}, std::multiplies<>());
    const auto itemsize = static_cast<std::size_t>(view->dtype.itemsize);
    Shape index(picked_shape.size(), 0);
    std::vector<Shape> steps;
    for (const Picked& one : picked_)
      steps.push_back(broadcast_strides(one.indices.get(), picked_shape));
    for (Py_ssize_t n = 0; n < total; ++n) {
      const char* from = view->data;
      char* to = result->data;
      for (std::size_t i = 0; i < index.size(); ++i) to += index[i] * outer_strides[i];
      for (std::size_t k = 0; k < picked_.size(); ++k) {
        const char* at = picked_[k].indices->data;
        for (std::size_t i = 0; i < index.size(); ++i) at += index[i] * steps[k][i];
        std::int64_t number = *reinterpret_cast<const std::int64_t*>(at);
        if (number < 0) number += view->shape()[picked_[k].axis];
        from += number * view->strides()[picked_[k].axis];
      }
      if (rest_shape.empty()) {
        std::memcpy(to, from, itemsize);
      } else {
        walk<2>(rest_shape, {{to, const_cast<char*>(from)}, {inner_strides, rest_strides}},
                [&](const auto& at, const auto& strides, Py_ssize_t count) {
                  if (strides[0] == static_cast<Py_ssize_t>(itemsize) && strides[0] == strides[1]) {
                    std::memcpy(at[0], at[1], itemsize * static_cast<std::size_t>(count));
                    return;
                  }
                  for (Py_ssize_t i = 0; i < count; ++i) {
                    std::memcpy(at[0] + i * strides[0], at[1] + i * strides[1], itemsize);
                  }
                });
      }
      for (std::size_t i = index.size(); i-- > 0;) {
        if (++index[i] < picked_shape[i]) break;
        index[i] = 0;
      }
    }
    return result;
  }

  Array* array_;
  char* data_;
  int axis_ = 0;
  Shape shape_, strides_;
  std::vector<Picked> picked_;
  bool separated_ = false;  // advanced indices with a slice, None or Ellipsis between them
};

// x["name"] of structured elements: that field of each.
PyObject* field(Array* array, PyObject* name) {
  if (!array->layout || !PyTuple_Check(array->layout)) {
    raise(PyExc_IndexError,
          "only integers, slices (`:`), ellipsis (`...`), None and integer or boolean arrays are "
          "valid indices");
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(array->layout); ++i) {
    PyObject* const one = PyTuple_GET_ITEM(array->layout, i);
    PyObject *own = nullptr, *shape = nullptr, *nested = nullptr;
    Py_ssize_t offset = 0;
    const char* typestr = nullptr;
    if (!PyArg_ParseTuple(one, "OnsO!O", &own, &offset, &typestr, &PyTuple_Type, &shape, &nested))
      throw Raised{};
    const int equal = PyObject_RichCompareBool(own, name, Py_EQ);
    if (equal < 0) throw Raised{};
    if (!equal) continue;
    DType dtype;
    if (!parse_typestr(typestr, &dtype))
      raise(PyExc_TypeError, std::string("unknown dtype ") + typestr);
    Shape extents = shape_of(array), strides(array->strides(), array->strides() + array->ndim);
    const Shape own_extents = parse_shape(shape, "a field's shape");
    Shape own_strides(own_extents.size());
    Py_ssize_t stride = dtype.itemsize;
    for (std::size_t k = own_extents.size(); k-- > 0;) {
      own_strides[k] = stride;
      stride *= own_extents[k];
    }
    extents.insert(extents.end(), own_extents.begin(), own_extents.end());
    strides.insert(strides.end(), own_strides.begin(), own_strides.end());
    PyObject* const base = array->owned ? array->object() : array->base;
    return item_or_array(new_view(base, array->data + offset, dtype, extents, strides,
                                  nested == Py_None ? nullptr : nested));
  }
  PyErr_Format(PyExc_ValueError, "no field of name %S", name);
  throw Raised{};
}

}  // namespace

PyObject* subscript(Array* array, PyObject* key) {
  return guarded([&]() -> PyObject* {
    // The usual case first: one number.
    if (PyLong_CheckExact(key) && array->ndim > 0) {
      Py_ssize_t index = PyLong_AsSsize_t(key);
      if (index == -1 && PyErr_Occurred()) {
        PyErr_Clear();
      } else {
        const Py_ssize_t extent = array->shape()[0];
        if (index >= -extent && index < extent) {
          char* const at = array->data + (index < 0 ? index + extent : index) * array->strides()[0];
          if (array->ndim == 1) return to_python(array, at);
          return view_of(array, at, {array->shape() + 1, array->shape() + array->ndim},
                         {array->strides() + 1, array->strides() + array->ndim})
              .release();
        }
      }
    }
    if (PyUnicode_Check(key)) return field(array, key);
    return Indexer(array).run(key);
  });
}

}  // namespace firn::heap::buffers
