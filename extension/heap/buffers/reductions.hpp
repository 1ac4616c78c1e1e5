// From many elements to one.
#pragma once

#include "heap/buffers/array.hpp"

namespace firn::heap::buffers {

enum class Reduction : std::uint8_t { sum, product, minimum, maximum, any, all, argmin, argmax };

// Over the axes given, which keep the length 1. `num` is numpy's `dtype`, or Num::other for its
// choice.
ArrayRef reduce(Array* array, Reduction reduction, const std::vector<int>& axes, Num num);

}  // namespace firn::heap::buffers
