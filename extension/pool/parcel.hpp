#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <utility>

#include "heap/heap.hpp"

namespace firn::pool {

/// One object on its way between two interpreters. Made with the GIL of the sender held, opened
/// with that of the receiver; its memory is used again when it is destroyed, for which no GIL is
/// needed.
class Parcel {
 public:
  /// Nothing, with a Python exception set, if it cannot be sent.
  static std::optional<Parcel> pack(pybind11::handle object);

  /// An object of the receiver's own.
  pybind11::object open() const;
  /// The object itself, to be read as long as the parcel lives.
  pybind11::object lend() const;

 private:
  explicit Parcel(heap::Transfer transfer) : transfer_(std::move(transfer)) {}
  heap::Transfer transfer_;
};

}  // namespace firn::pool
