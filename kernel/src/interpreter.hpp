#pragma once

#include <functional>
#include <xeus/xinterpreter.hpp>

#include "python_side.hpp"

namespace firn::kernel {

// What xeus asks of a language. Called by the thread that dispatches: the main thread and those of
// the subshells for the shell channel, the control thread for the control channel.
class Interpreter final : public xeus::xinterpreter {
 public:
  Interpreter(PythonSide& python, std::function<void()> interrupt);

 private:
  void configure_impl() override {}
  void execute_request_impl(send_reply_callback callback, int execution_count,
                            const std::string& code, xeus::execute_request_config config,
                            nl::json user_expressions) override;
  nl::json complete_request_impl(const std::string& code, int cursor) override;
  nl::json inspect_request_impl(const std::string& code, int cursor, int detail) override;
  nl::json is_complete_request_impl(const std::string& code) override;
  nl::json kernel_info_request_impl() override;
  nl::json shutdown_request_impl(bool restart) override;
  nl::json interrupt_request_impl() override;

  // xeus keeps one context for the whole kernel; runners in several threads need one each.
  void set_request_context(xeus::xrequest_context context) override;
  const xeus::xrequest_context& get_request_context() const noexcept override;

  PythonSide& python_;
  std::function<void()> interrupt_;
};

}  // namespace firn::kernel
