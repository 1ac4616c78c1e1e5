// The operators of the type: which of Python's slots leads to which operation.
#include <cstring>

#include "heap/arena.hpp"
#include "heap/buffers/operands.hpp"

namespace firn::heap::buffers {
namespace {

template <Binary operation>
PyObject* slot(PyObject* left, PyObject* right) {
  return guarded([&]() -> PyObject* {
    Operand a, b;
    if (!make_operand(left, &a) || !make_operand(right, &b)) Py_RETURN_NOTIMPLEMENTED;
    return item_or_array(apply_operands(operation, std::move(a), std::move(b)));
  });
}

PyObject* power_slot(PyObject* left, PyObject* right, PyObject* modulus) {
  if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
  return slot<Binary::power>(left, right);
}

PyObject* divmod_slot(PyObject* left, PyObject* right) {
  Ref quotient(slot<Binary::floor_divide>(left, right));
  if (!quotient || quotient.get() == Py_NotImplemented) return quotient.release();
  Ref rest(slot<Binary::remainder>(left, right));
  return rest ? PyTuple_Pack(2, quotient.get(), rest.get()) : nullptr;
}

template <Unary operation>
PyObject* unary_slot(PyObject* self) {
  return guarded([&] { return item_or_array(apply(operation, as_array(self))); });
}

int truth_slot(PyObject* self) {
  return guarded([&]() -> int {
    Array* const array = as_array(self);
    const Py_ssize_t size = size_of(array);
    if (size == 0) {
      raise(PyExc_ValueError,
            "The truth value of an empty array is ambiguous. Use `array.size > 0` to check that an "
            "array is not empty.");
    }
    if (size > 1) {
      raise(PyExc_ValueError,
            "The truth value of an array with more than one element is ambiguous. Use a.any() or "
            "a.all()");
    }
    Ref item(check(to_python(array, array->data)));
    return PyObject_IsTrue(item.get());
  });
}

Ref only_element(PyObject* self) {
  Array* const array = as_array(self);
  if (size_of(array) != 1 || array->ndim > 0) {
    raise(PyExc_TypeError,
          "only 0-dimensional arrays can be converted to Python scalars: item() "
          "gives the one element of any array of size 1");
  }
  return Ref(check(to_python(array, array->data)));
}

PyObject* integer_slot(PyObject* self) {
  return guarded([&] { return PyNumber_Long(only_element(self).get()); });
}
PyObject* float_slot(PyObject* self) {
  return guarded([&] { return PyNumber_Float(only_element(self).get()); });
}
PyObject* index_slot(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Array* const array = as_array(self);
    if (array->ndim != 0 || !is_integer(array->dtype.num)) {
      raise(PyExc_TypeError, "only integer scalar arrays can be converted to a scalar index");
    }
    return to_python(array, array->data);
  });
}

// `x += 1` changes an array in NumPy, also under its other names: frozen memory refuses that. What
// a calculation gave belongs to nobody else, and the name gets the new value, as with a number.
template <Binary operation>
PyObject* in_place(PyObject* self, PyObject* other) {
  if (in_heap(as_array(self)->data)) return refuse_array_write(self);
  return slot<operation>(self, other);
}

PyObject* power_in_place(PyObject* self, PyObject* other, PyObject*) {
  return in_place<Binary::power>(self, other);
}

PyObject* matrix_product_in_place(PyObject* self, PyObject* other) {
  if (in_heap(as_array(self)->data)) return refuse_array_write(self);
  return matrix_product(self, other);
}

}  // namespace

PyObject* compare(PyObject* left, PyObject* right, int operation) {
  static constexpr Binary operations[] = {Binary::less,    Binary::less_equal,
                                          Binary::equal,   Binary::not_equal,
                                          Binary::greater, Binary::greater_equal};
  const Binary wanted = operations[operation];
  return guarded([&]() -> PyObject* {
    Operand a, b;
    if (!make_operand(left, &a)) Py_RETURN_NOTIMPLEMENTED;
    const bool equality = operation == Py_EQ || operation == Py_NE;
    if (PyBytes_Check(right) || right == Py_None) {
      if (right == Py_None) {
        if (!equality) Py_RETURN_NOTIMPLEMENTED;
        ArrayRef result = new_array(dtype_of(Num::boolean), shape_of(as_array(left)));
        std::memset(result->data, operation == Py_NE,
                    static_cast<std::size_t>(size_of(result.get())));
        return item_or_array(std::move(result));
      }
      b.array = array_from(right, nullptr);
    } else if (!make_operand(right, &b)) {
      Py_RETURN_NOTIMPLEMENTED;
    }
    return item_or_array(apply_operands(wanted, std::move(a), std::move(b)));
  });
}

PyNumberMethods number_slots = {
    .nb_add = slot<Binary::add>,
    .nb_subtract = slot<Binary::subtract>,
    .nb_multiply = slot<Binary::multiply>,
    .nb_remainder = slot<Binary::remainder>,
    .nb_divmod = divmod_slot,
    .nb_power = power_slot,
    .nb_negative = unary_slot<Unary::negative>,
    .nb_positive = unary_slot<Unary::positive>,
    .nb_absolute = unary_slot<Unary::absolute>,
    .nb_bool = truth_slot,
    .nb_invert = unary_slot<Unary::invert>,
    .nb_lshift = slot<Binary::left_shift>,
    .nb_rshift = slot<Binary::right_shift>,
    .nb_and = slot<Binary::bitwise_and>,
    .nb_xor = slot<Binary::bitwise_xor>,
    .nb_or = slot<Binary::bitwise_or>,
    .nb_int = integer_slot,
    .nb_float = float_slot,
    .nb_inplace_add = in_place<Binary::add>,
    .nb_inplace_subtract = in_place<Binary::subtract>,
    .nb_inplace_multiply = in_place<Binary::multiply>,
    .nb_inplace_remainder = in_place<Binary::remainder>,
    .nb_inplace_power = power_in_place,
    .nb_inplace_lshift = in_place<Binary::left_shift>,
    .nb_inplace_rshift = in_place<Binary::right_shift>,
    .nb_inplace_and = in_place<Binary::bitwise_and>,
    .nb_inplace_xor = in_place<Binary::bitwise_xor>,
    .nb_inplace_or = in_place<Binary::bitwise_or>,
    .nb_floor_divide = slot<Binary::floor_divide>,
    .nb_true_divide = slot<Binary::divide>,
    .nb_inplace_floor_divide = in_place<Binary::floor_divide>,
    .nb_inplace_true_divide = in_place<Binary::divide>,
    .nb_index = index_slot,
    .nb_matrix_multiply = matrix_product,
    .nb_inplace_matrix_multiply = matrix_product_in_place,
};

}  // namespace firn::heap::buffers
