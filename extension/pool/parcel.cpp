#include "pool/parcel.hpp"

namespace firn::pool {

std::optional<Parcel> Parcel::pack(pybind11::handle object) {
  auto transfer = heap::freeze_transfer(object.ptr());
  if (!transfer) return std::nullopt;
  return Parcel(std::move(*transfer));
}

pybind11::object Parcel::open() const {
  PyObject* object = heap::thaw_transfer(transfer_);
  if (!object) throw pybind11::error_already_set();
  return pybind11::reinterpret_steal<pybind11::object>(object);
}

pybind11::object Parcel::lend() const {
  return pybind11::reinterpret_borrow<pybind11::object>(heap::borrow(transfer_));
}

}  // namespace firn::pool
