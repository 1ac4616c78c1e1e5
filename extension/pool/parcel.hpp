#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <optional>
#include <utility>

#include "heap/heap.hpp"

namespace firn::pool {

/// One object on its way between two interpreters, in a transfer segment of the heap. Packed with
/// the GIL of the sender held, opened with that of the receiver, dropped by any thread.
class Parcel {
 public:
  /// Nothing, with a Python exception set, if it cannot be frozen.
  static std::optional<Parcel> pack(pybind11::handle object);

  /// A copy of the receiver's own, in which lasting frozen values are the same pointers. Nothing
  /// that points into the parcel ever reaches Python code, for CPython's caches would keep it.
  pybind11::object open() const;

  std::size_t bytes() const { return transfer_.figures().bytes; }

 private:
  explicit Parcel(heap::Transfer transfer) : transfer_(std::move(transfer)) {}
  heap::Transfer transfer_;
};

}  // namespace firn::pool
