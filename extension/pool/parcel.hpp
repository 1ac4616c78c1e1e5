#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <string>

namespace firn::pool {

/// One object on its way between two interpreters. Made with the GIL of the sender held, opened
/// with that of the receiver.
class Parcel {
 public:
  /// Nothing, with a Python exception set, if it cannot be sent.
  static std::optional<Parcel> pack(pybind11::handle object);

  /// An object of the receiver's own.
  pybind11::object open() const;
  /// The object itself, to be read as long as the parcel lives.
  pybind11::object lend() const;

 private:
  explicit Parcel(std::string bytes) : bytes_(std::move(bytes)) {}
  std::string bytes_;
};

}  // namespace firn::pool
