#include "interpreter.hpp"

#include <xeus/xhelper.hpp>

namespace firn::kernel {
namespace {

xeus::xrequest_context& thread_context() {
  thread_local xeus::xrequest_context context;
  return context;
}

}  // namespace

Interpreter::Interpreter(PythonSide& python, std::function<void()> interrupt)
    : python_(python), interrupt_(std::move(interrupt)) {
  xeus::register_interpreter(this);
}

void Interpreter::execute_request_impl(send_reply_callback callback, int, const std::string& code,
                                       xeus::execute_request_config config,
                                       nl::json user_expressions) {
  python_.execute(code, config.silent, config.store_history, config.allow_stdin, user_expressions,
                  std::move(callback));
  current_turn().promised = true;
}

nl::json Interpreter::complete_request_impl(const std::string& code, int cursor) {
  return python_.answer({{"code", code}, {"cursor_pos", cursor}});
}

nl::json Interpreter::inspect_request_impl(const std::string& code, int cursor, int detail) {
  return python_.answer({{"code", code}, {"cursor_pos", cursor}, {"detail_level", detail}});
}

nl::json Interpreter::is_complete_request_impl(const std::string& code) {
  return python_.answer({{"code", code}});
}

nl::json Interpreter::kernel_info_request_impl() { return python_.answer(nl::json::object()); }

nl::json Interpreter::shutdown_request_impl(bool restart) {
  interrupt_();  // the cell that runs shall end
  return xeus::create_shutdown_reply(restart);
}

nl::json Interpreter::interrupt_request_impl() {
  interrupt_();
  return xeus::create_interrupt_reply();
}

void Interpreter::set_request_context(xeus::xrequest_context context) {
  thread_context() = std::move(context);
}

const xeus::xrequest_context& Interpreter::get_request_context() const noexcept {
  return thread_context();
}

}  // namespace firn::kernel
