// What a Transfer owns.
#pragma once

#include "heap/cpython_layout.hpp"

#include <vector>

#include "heap/arena.hpp"
#include "heap/heap.hpp"

namespace firn::heap {

struct TransferSegment {
  TransferSegment() = default;
  TransferSegment(const TransferSegment&) = delete;
  TransferSegment& operator=(const TransferSegment&) = delete;
  ~TransferSegment() {
    for (const Span& span : extents) transfer_zone().give_back(extent_of(span));
  }

  PyObject* root = nullptr;  // in the segment, or a lasting or static object
  std::vector<Span> extents;
  Figures figures;
};

}  // namespace firn::heap
