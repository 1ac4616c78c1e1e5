#pragma once

#include <xeus/xhistory_manager.hpp>

#include "python_side.hpp"

namespace firn::kernel {

// IPython's history (SQLite, sessions) behind xeus's interface. IPython stores the inputs itself.
// Called by the threads that dispatch from the shell channel: the main one and the subshells'.
class History final : public xeus::xhistory_manager {
 public:
  explicit History(PythonSide& python) : python_(python) {}

 private:
  void configure_impl() override {}
  void store_inputs_impl(int, int, const std::string&, const std::string&) override {}
  nl::json get_tail_impl(int n, bool raw, bool output) const override;
  nl::json get_range_impl(int session, int start, int stop, bool raw, bool output) const override;
  nl::json search_impl(const std::string& pattern, bool raw, bool output, int n,
                       bool unique) const override;

  PythonSide& python_;
};

}  // namespace firn::kernel
