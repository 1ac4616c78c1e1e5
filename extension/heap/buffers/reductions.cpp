#include "heap/buffers/reductions.hpp"

#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "heap/buffers/loops.hpp"
#include "heap/buffers/numbers.hpp"
#include "heap/buffers/operators.hpp"

namespace firn::heap::buffers {
namespace {

// What partial results are kept in: sums of halves in float, of integers without a sign, so that
// they wrap around.
template <typename T, bool exact>
struct Partial {
  using type = T;
};
template <>
struct Partial<Half, true> {
  using type = float;
};
template <typename T>
  requires std::is_integral_v<T>
struct Partial<T, true> {
  using type = std::conditional_t<sizeof(T) < 4, std::uint32_t, std::make_unsigned_t<T>>;
};

// ---- sums and products ----

template <Reduction reduction, typename T>
struct Total {
  using Kept = typename Partial<T, true>::type;
  static constexpr bool is_float_sum =
      reduction == Reduction::sum && std::is_floating_point_v<T> && std::is_same_v<Kept, T>;
  static Kept start() {
    if constexpr (is_boolean<T>) {
      return Boolean(reduction == Reduction::product);
    } else {
      return Kept(reduction == Reduction::sum ? 0 : 1);
    }
  }
  static Kept join(Kept a, Kept b) {
    if constexpr (is_boolean<T>) {
      return Boolean(reduction == Reduction::sum ? a.value || b.value : a.value && b.value);
    } else if constexpr (reduction == Reduction::sum) {
      return a + b;
    } else {
      return a * b;
    }
  }
  // Of a contiguous block. Vector code with several sums side by side, hence nearly as exact as
  // NumPy's pairwise summation within the block.
  static Kept block(const T* values, Py_ssize_t count) {
    constexpr Py_ssize_t most = 128;
    if (count > most && (is_real<T> || is_complex<T>)) {
      const Py_ssize_t half = count / 2 / 8 * 8;
      return join(block(values, half), block(values + half, count - half));
    }
    if constexpr (std::is_floating_point_v<T> || is_complex<T>) {
      const ConstRun<T> run(values, count);
      return reduction == Reduction::sum ? run.sum() : run.prod();
    } else {
      Kept kept = start();
      for (Py_ssize_t i = 0; i < count; ++i) kept = join(kept, static_cast<Kept>(values[i]));
      return kept;
    }
  }
};

// The sum of a run of native floats in NumPy's order, which is its sum to the last bit: halves of
// more than 128 elements, eight sums side by side below.
template <typename T>
T sum_as_numpy(const char* at, Py_ssize_t count, Py_ssize_t stride) {
  constexpr Py_ssize_t width = 8;
  constexpr Py_ssize_t most = 128;
  if (count > most) {
    const Py_ssize_t half = count / 2 / width * width;
    return sum_as_numpy<T>(at, half, stride) +
           sum_as_numpy<T>(at + half * stride, count - half, stride);
  }
  const auto value = [&](Py_ssize_t i) {
    T found;
    std::memcpy(&found, at + i * stride, sizeof(T));
    return found;
  };
  T sum = -T{0};
  Py_ssize_t i = 0;
  if (count >= width) {
    T sums[width];
    for (; i < width; ++i) sums[i] = value(i);
    for (; i + width <= count; i += width) {
      for (Py_ssize_t k = 0; k < width; ++k) sums[k] += value(i + k);
    }
    sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  }
  for (; i < count; ++i) sum += value(i);
  return sum;
}

// Sums of blocks, added pairwise, so that the error grows with the logarithm of their number only.
template <typename Operation>
class Pairwise {
 public:
  using Kept = typename Operation::Kept;
  void add(Kept value) {
    ++blocks_;
    std::size_t level = 0;
    for (std::uint64_t n = blocks_; !(n & 1); n >>= 1) {
      value = Operation::join(sums_[level], value);
      ++level;
    }
    sums_[level] = value;
  }
  Kept total() const {
    Kept total = Operation::start();
    for (std::size_t level = 0; level < 64; ++level) {
      if (blocks_ >> level & 1) total = Operation::join(sums_[level], total);
    }
    return total;
  }

 private:
  std::uint64_t blocks_ = 0;
  Kept sums_[64];
};

// How a walk over an array is divided: the axes that are reduced, and those that are kept.
struct Axes {
  Shape kept_shape, kept_strides, reduced_shape, reduced_strides;
};

Axes divide(const Array* array, const std::vector<int>& axes) {
  Axes result;
  for (int i = 0; i < array->ndim; ++i) {
    const bool reduced = std::find(axes.begin(), axes.end(), i) != axes.end();
    (reduced ? result.reduced_shape : result.kept_shape).push_back(array->shape()[i]);
    (reduced ? result.reduced_strides : result.kept_strides).push_back(array->strides()[i]);
  }
  return result;
}

Shape reduced_shape(const Array* array, const std::vector<int>& axes) {
  Shape shape = shape_of(array);
  for (const int axis : axes) shape[static_cast<std::size_t>(axis)] = 1;
  return shape;
}

Py_ssize_t smallest(const Shape& shape, const Shape& strides) {
  Py_ssize_t least = PY_SSIZE_T_MAX;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] > 1) least = std::min(least, std::abs(strides[i]));
  }
  return least;
}

// Calls f(elements, count) for blocks of the elements at `at` along the reduced axes.
template <typename T, typename F>
void each_block(Reader& reader, char* at, const Axes& axes, F&& f) {
  walk<1>(
      axes.reduced_shape, {{at}, {axes.reduced_strides}},
      [&](const auto& start, const auto& strides, Py_ssize_t count) {
        for (Py_ssize_t i = 0; i < count; i += kBlock) {
          const Py_ssize_t part = std::min(kBlock, count - i);
          f(reinterpret_cast<const T*>(reader.read(start[0] + i * strides[0], strides[0], part)),
            part);
        }
      });
}

// The same along the reduced axes: NumPy copies what is no single run to a buffer, a few whole runs
// at a time, if no kept axis is in between.
template <typename T>
T sum_runs_as_numpy(char* at, const Axes& axes) {
  constexpr std::size_t buffer_size = 8192;
  const Py_ssize_t all = std::accumulate(axes.reduced_shape.begin(), axes.reduced_shape.end(),
                                         Py_ssize_t{1}, std::multiplies<>());
  Py_ssize_t largest = 0;
  for (const Py_ssize_t stride : axes.reduced_strides)
    largest = std::max(largest, std::abs(stride));
  const bool copies = largest < smallest(axes.kept_shape, axes.kept_strides);
  T sum = 0;
  std::vector<T> buffer;
  const auto flush = [&] {
    sum += sum_as_numpy<T>(reinterpret_cast<const char*>(buffer.data()),
                           static_cast<Py_ssize_t>(buffer.size()), sizeof(T));
    buffer.clear();
  };
  walk<1>(axes.reduced_shape, {{at}, {axes.reduced_strides}},
          [&](const auto& start, const auto& strides, Py_ssize_t count) {
            if (count == all || !copies) {
              sum += sum_as_numpy<T>(start[0], count, strides[0]);
              return;
            }
            if (buffer.size() + static_cast<std::size_t>(count) > buffer_size) flush();
            for (Py_ssize_t i = 0; i < count; ++i) {
              T value;
              std::memcpy(&value, start[0] + i * strides[0], sizeof(T));
              buffer.push_back(value);
            }
          });
  if (!buffer.empty()) flush();
  return sum;
}

template <typename Operation, typename T>
void total_each(const Array* array, const Axes& axes, Num num, Array* result) {
  const auto reader = std::make_unique<Reader>(array->dtype, num);
  Shape result_strides(axes.kept_shape.size());
  Py_ssize_t stride = result->dtype.itemsize;
  for (std::size_t i = result_strides.size(); i-- > 0;) {
    result_strides[i] = stride;
    stride *= axes.kept_shape[i];
  }
  walk<2>(axes.kept_shape, {{result->data, array->data}, {result_strides, axes.kept_strides}},
          [&](const auto& at, const auto& strides, Py_ssize_t count) {
            for (Py_ssize_t i = 0; i < count; ++i) {
              if constexpr (Operation::is_float_sum) {
                if (reader->as_is()) {
                  const T sum = sum_runs_as_numpy<T>(at[1] + i * strides[1], axes);
                  *reinterpret_cast<T*>(at[0] + i * strides[0]) = sum;
                  continue;
                }
              }
              Pairwise<Operation> sums;
              each_block<T>(
                  *reader, at[1] + i * strides[1], axes,
                  [&](const T* values, Py_ssize_t n) { sums.add(Operation::block(values, n)); });
              *reinterpret_cast<T*>(at[0] + i * strides[0]) = static_cast<T>(sums.total());
            }
          });
}

// The kept axis is the fastest in memory: whole rows are added to the result.
template <typename Operation, typename T>
void total_rows(const Array* array, const Axes& axes, Num num, Array* result) {
  using Kept = typename Operation::Kept;
  const auto reader = std::make_unique<Reader>(array->dtype, num);
  const auto size = static_cast<std::size_t>(size_of(result));
  std::vector<Kept> kept(size, Operation::start());
  Shape kept_strides(axes.kept_shape.size());
  auto stride = static_cast<Py_ssize_t>(sizeof(Kept));
  for (std::size_t i = kept_strides.size(); i-- > 0;) {
    kept_strides[i] = stride;
    stride *= axes.kept_shape[i];
  }
  walk<1>(axes.reduced_shape, {{array->data}, {axes.reduced_strides}},
          [&](const auto& start, const auto& outer, Py_ssize_t rows) {
            for (Py_ssize_t row = 0; row < rows; ++row) {
              walk<2>(axes.kept_shape,
                      {{reinterpret_cast<char*>(kept.data()), start[0] + row * outer[0]},
                       {kept_strides, axes.kept_strides}},
                      [&](const auto& at, const auto& strides, Py_ssize_t count) {
                        for (Py_ssize_t i = 0; i < count; i += kBlock) {
                          const Py_ssize_t part = std::min(kBlock, count - i);
                          const auto* values = reinterpret_cast<const T*>(
                              reader->read(at[1] + i * strides[1], strides[1], part));
                          if (strides[0] == static_cast<Py_ssize_t>(sizeof(Kept))) {
                            auto* to = reinterpret_cast<Kept*>(at[0]) + i;
                            for (Py_ssize_t k = 0; k < part; ++k) {
                              to[k] = Operation::join(to[k], static_cast<Kept>(values[k]));
                            }
                          } else {
                            for (Py_ssize_t k = 0; k < part; ++k) {
                              auto& to = *reinterpret_cast<Kept*>(at[0] + (i + k) * strides[0]);
                              to = Operation::join(to, static_cast<Kept>(values[k]));
                            }
                          }
                        }
                      });
            }
          });
  T* out = reinterpret_cast<T*>(result->data);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<T>(kept[i]);
}

// Whether the kept axes are faster in memory than those that are reduced.
bool go_by_rows(const Axes& axes) {
  return smallest(axes.kept_shape, axes.kept_strides) <
         smallest(axes.reduced_shape, axes.reduced_strides);
}

template <Reduction reduction, typename T>
void total(const Array* array, const Axes& axes, Num num, Array* result) {
  using Operation = Total<reduction, T>;
  if (go_by_rows(axes)) {
    total_rows<Operation, T>(array, axes, num, result);
  } else {
    total_each<Operation, T>(array, axes, num, result);
  }
}

// ---- the least, the greatest, and where they are ----

template <Reduction reduction, typename T>
bool is_better(const T& candidate, const T& best) {
  if constexpr (reduction == Reduction::minimum || reduction == Reduction::argmin) {
    return is_less(candidate, best);
  } else {
    return is_less(best, candidate);
  }
}

// Of elements that are all numbers, by vector code where there is some; NaN when one is none.
template <Reduction reduction, typename T>
T best_of(const T* values, Py_ssize_t count) {
  if constexpr (std::is_floating_point_v<T>) {
    const ConstRun<T> run(values, count);
    return reduction == Reduction::minimum ? run.template minCoeff<Eigen::PropagateNaN>()
                                           : run.template maxCoeff<Eigen::PropagateNaN>();
  } else {
    T best = values[0];
    for (Py_ssize_t i = 1; i < count; ++i) {
      if (is_nan(best)) break;
      if (is_nan(values[i]) || is_better<reduction>(values[i], best)) best = values[i];
    }
    return best;
  }
}

// The least or greatest of two, for whole rows at a time; NaN stays.
template <Reduction reduction, typename T>
struct Extreme {
  using Kept = T;
  static T start() {
    using Limits = std::numeric_limits<T>;
    const bool least = reduction == Reduction::minimum;
    if constexpr (std::is_floating_point_v<T>) {
      return least ? Limits::infinity() : -Limits::infinity();
    } else {
      return least ? Limits::max() : Limits::min();
    }
  }
  static T join(T kept, T value) {
    const bool stays = reduction == Reduction::minimum ? kept <= value : kept >= value;
    return stays || is_nan(kept) ? kept : value;
  }
};

template <Reduction reduction, typename T>
void find_best(const Array* array, const Axes& axes, Num num, Array* result) {
  const auto reader = std::make_unique<Reader>(array->dtype, num);
  Shape result_strides(axes.kept_shape.size());
  Py_ssize_t stride = result->dtype.itemsize;
  for (std::size_t i = result_strides.size(); i-- > 0;) {
    result_strides[i] = stride;
    stride *= axes.kept_shape[i];
  }
  constexpr bool where = reduction == Reduction::argmin || reduction == Reduction::argmax;
  walk<2>(axes.kept_shape, {{result->data, array->data}, {result_strides, axes.kept_strides}},
          [&](const auto& at, const auto& strides, Py_ssize_t count) {
            for (Py_ssize_t i = 0; i < count; ++i) {
              T best{};
              std::int64_t index = 0, seen = 0;
              char* const from = at[1] + i * strides[1];
              if constexpr (where) {
                // In the order of the axis, which is the only one.
                for (Py_ssize_t k = 0; k < axes.reduced_shape[0]; k += kBlock) {
                  const Py_ssize_t part = std::min(kBlock, axes.reduced_shape[0] - k);
                  const auto* values = reinterpret_cast<const T*>(reader->read(
                      from + k * axes.reduced_strides[0], axes.reduced_strides[0], part));
                  for (Py_ssize_t n = 0; n < part; ++n, ++seen) {
                    if (seen && is_nan(best)) break;
                    if (!seen || is_nan(values[n]) || is_better<reduction>(values[n], best)) {
                      best = values[n];
                      index = seen;
                    }
                  }
                }
                *reinterpret_cast<std::int64_t*>(at[0] + i * strides[0]) = index;
              } else {
                each_block<T>(*reader, from, axes, [&](const T* values, Py_ssize_t n) {
                  const T candidate = best_of<reduction>(values, n);
                  if (!seen || (!is_nan(best) &&
                                (is_nan(candidate) || is_better<reduction>(candidate, best)))) {
                    best = candidate;
                  }
                  seen = 1;
                });
                *reinterpret_cast<T*>(at[0] + i * strides[0]) = best;
              }
            }
          });
}

template <Reduction reduction, typename T>
void find_extreme(const Array* array, const Axes& axes, Num num, Array* result) {
  if constexpr (std::is_floating_point_v<T> || std::is_integral_v<T>) {
    if (go_by_rows(axes)) {
      total_rows<Extreme<reduction, T>, T>(array, axes, num, result);
      return;
    }
  }
  find_best<reduction, T>(array, axes, num, result);
}

// ---- truth ----

template <Reduction reduction, typename T>
void find_truth(const Array* array, const Axes& axes, Num num, Array* result) {
  const auto reader = std::make_unique<Reader>(array->dtype, num);
  Shape result_strides(axes.kept_shape.size());
  Py_ssize_t stride = 1;
  for (std::size_t i = result_strides.size(); i-- > 0;) {
    result_strides[i] = stride;
    stride *= axes.kept_shape[i];
  }
  constexpr bool wanted = reduction == Reduction::any;
  walk<2>(
      axes.kept_shape, {{result->data, array->data}, {result_strides, axes.kept_strides}},
      [&](const auto& at, const auto& strides, Py_ssize_t count) {
        for (Py_ssize_t i = 0; i < count; ++i) {
          bool found = false;
          each_block<T>(*reader, at[1] + i * strides[1], axes, [&](const T* values, Py_ssize_t n) {
            found = found || std::any_of(values, values + n,
                                         [](const T& value) { return truth(value) == wanted; });
          });
          at[0][i * strides[0]] = static_cast<char>(found == wanted);
        }
      });
}

const char* name_of(Reduction reduction) {
  constexpr const char* names[] = {"sum", "prod", "min", "max", "any", "all", "argmin", "argmax"};
  return names[static_cast<int>(reduction)];
}

Num total_num(Num num) {
  if (num == Num::boolean || is_signed(num)) return Num::int64;
  return is_unsigned(num) ? Num::uint64 : num;
}

}  // namespace

ArrayRef reduce(Array* array, Reduction reduction, const std::vector<int>& axes, Num wanted) {
  DType dtype = array->dtype;
  const bool extreme = reduction == Reduction::minimum || reduction == Reduction::maximum;
  const bool where = reduction == Reduction::argmin || reduction == Reduction::argmax;
  const bool times = is_time(dtype.num);
  if (!is_numeric(dtype.num) && !(times && (extreme || where))) {
    raise(PyExc_TypeError, std::string(name_of(reduction)) + "() is not supported for dtype " +
                               buffers::name_of(dtype) +
                               (times ? ": view('int64') gives the numbers" : ""));
  }
  const Axes divided = divide(array, axes);
  Py_ssize_t reduced = 1;
  for (const Py_ssize_t extent : divided.reduced_shape) reduced *= extent;
  if (reduced == 0) {
    if (extreme) {
      raise(PyExc_ValueError, std::string("zero-size array to reduction operation ") +
                                  (reduction == Reduction::minimum ? "minimum" : "maximum") +
                                  " which has no identity");
    }
    if (where) {
      raise(PyExc_ValueError,
            std::string("attempt to get ") + name_of(reduction) + " of an empty sequence");
    }
  }
  Num num = times ? Num::int64 : dtype.num;
  const bool totals = reduction == Reduction::sum || reduction == Reduction::product;
  if (totals) num = wanted == Num::other ? total_num(num) : wanted;
  DType result_dtype = dtype_of(num);
  if (where) result_dtype = dtype_of(Num::int64);
  if (reduction == Reduction::any || reduction == Reduction::all)
    result_dtype = dtype_of(Num::boolean);
  if (times && extreme) {
    result_dtype = dtype;
    result_dtype.swapped = false;
  }
  ArrayRef result = new_array(result_dtype, reduced_shape(array, axes));
  with_type(num, [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (reduction) {
      case Reduction::sum:
        return total<Reduction::sum, T>(array, divided, num, result.get());
      case Reduction::product:
        return total<Reduction::product, T>(array, divided, num, result.get());
      case Reduction::minimum:
        return find_extreme<Reduction::minimum, T>(array, divided, num, result.get());
      case Reduction::maximum:
        return find_extreme<Reduction::maximum, T>(array, divided, num, result.get());
      case Reduction::argmin:
        return find_best<Reduction::argmin, T>(array, divided, num, result.get());
      case Reduction::argmax:
        return find_best<Reduction::argmax, T>(array, divided, num, result.get());
      case Reduction::any:
        return find_truth<Reduction::any, T>(array, divided, num, result.get());
      case Reduction::all:
        return find_truth<Reduction::all, T>(array, divided, num, result.get());
    }
  });
  return result;
}

}  // namespace firn::heap::buffers
