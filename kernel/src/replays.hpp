#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>

namespace firn::kernel {

// Remembers the signatures of the latest messages, so that one that somebody has recorded and sends
// again is refused (Jupyter's own kernels remember as many). One thread.
class Replays {
 public:
  static constexpr std::size_t kRemembered = 65536;

  // Whether the signature has not been seen; from now on it has.
  bool is_first(const std::string& signature) {
    const auto [place, is_new] = seen_.insert(signature);
    if (!is_new) return false;
    order_.push_back(*place);  // a set's elements stay where they are
    if (order_.size() > kRemembered) {
      seen_.erase(std::string(order_.front()));
      order_.pop_front();
    }
    return true;
  }

 private:
  std::unordered_set<std::string> seen_;
  std::deque<std::string_view> order_;
};

}  // namespace firn::kernel
