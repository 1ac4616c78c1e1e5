#include "heap/buffers/loops.hpp"

#include <algorithm>
#include <cstdlib>

namespace firn::heap::buffers {

template <int N>
void walk(const Shape& shape, const Operands<N>& operands, RunReference<N> run) {
  const int ndim = static_cast<int>(shape.size());
  std::array<int, kMostDimensions> order;
  int axes = 0;
  for (int i = 0; i < ndim; ++i) {
    if (shape[i] == 0) return;
    if (shape[i] != 1) order[axes++] = i;
  }
  std::stable_sort(order.begin(), order.begin() + axes, [&](int a, int b) {
    for (const Shape& strides : operands.strides) {
      if (std::abs(strides[a]) != std::abs(strides[b])) {
        return std::abs(strides[a]) > std::abs(strides[b]);
      }
    }
    return false;
  });
  std::array<Py_ssize_t, kMostDimensions + 1> extent;
  std::array<std::array<Py_ssize_t, kMostDimensions + 1>, N> step;
  int depth = 0;
  for (int i = 0; i < axes; ++i) {
    const int axis = order[i];
    bool joins = depth > 0;
    for (int k = 0; k < N && joins; ++k) {
      joins = step[k][depth - 1] == operands.strides[k][axis] * shape[axis];
    }
    if (joins) {
      --depth;
      extent[depth] *= shape[axis];
    } else {
      extent[depth] = shape[axis];
    }
    for (int k = 0; k < N; ++k) step[k][depth] = operands.strides[k][axis];
    ++depth;
  }
  if (depth == 0) {
    extent[0] = 1;
    for (int k = 0; k < N; ++k) step[k][0] = 0;
    depth = 1;
  }
  const int inner = depth - 1;
  std::array<Py_ssize_t, N> strides;
  for (int k = 0; k < N; ++k) strides[k] = step[k][inner];
  std::array<Py_ssize_t, kMostDimensions + 1> index{};
  std::array<char*, N> at = operands.at;
  while (true) {
    run(at, strides, extent[inner]);
    int axis = inner - 1;
    for (; axis >= 0; --axis) {
      for (int k = 0; k < N; ++k) at[k] += step[k][axis];
      if (++index[axis] < extent[axis]) break;
      index[axis] = 0;
      for (int k = 0; k < N; ++k) at[k] -= step[k][axis] * extent[axis];
    }
    if (axis < 0) return;
  }
}

template void walk<1>(const Shape&, const Operands<1>&, RunReference<1>);
template void walk<2>(const Shape&, const Operands<2>&, RunReference<2>);
template void walk<3>(const Shape&, const Operands<3>&, RunReference<3>);

}  // namespace firn::heap::buffers
