#include "pool/parcel.hpp"

#include <utility>

namespace firn::pool {

std::optional<Parcel> Parcel::pack(pybind11::handle object) {
  try {
    const auto bytes = pybind11::module_::import("pickle").attr("dumps")(object, 5);
    return Parcel(bytes.cast<std::string>());
  } catch (pybind11::error_already_set& error) {
    error.restore();
    return std::nullopt;
  }
}

pybind11::object Parcel::open() const {
  return pybind11::module_::import("pickle").attr("loads")(pybind11::bytes(bytes_));
}

pybind11::object Parcel::lend() const { return open(); }

}  // namespace firn::pool
