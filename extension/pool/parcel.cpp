#include "pool/parcel.hpp"

namespace firn::pool {

std::optional<Parcel> Parcel::pack(pybind11::handle object) {
  auto transfer = heap::freeze_transfer(object.ptr());
  if (!transfer) return std::nullopt;
  return Parcel(std::move(*transfer));
}

pybind11::object Parcel::open() const {
  auto object = pybind11::reinterpret_steal<pybind11::object>(heap::thaw_transfer(transfer_));
  if (!object) throw pybind11::error_already_set();
  return object;
}

}  // namespace firn::pool
