#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <xeus/xmessage.hpp>

#include "event_fd.hpp"

namespace firn::kernel {

// What a cell runner finds in its inbox.
struct Item {
  enum class Kind {
    message,  // a request
    aborted,  // an execute request that came before the failure of an earlier cell was known
    lost,     // a request to a subshell that is not there, or no longer
    beside,   // of the shell channel, but answered by the control thread: the main runner is busy
    stop,
  };
  Kind kind;
  xeus::xmessage message;
};

// One per cell runner. The I/O thread (and whoever stops the kernel) fills it, its runner empties
// it; the runner's event loop watches fd().
class Inbox {
 public:
  int fd() const { return arrived_.fd(); }
  void clear_event() const { arrived_.clear(); }

  void push(Item item);
  std::optional<Item> pop();

  // From now on until the next fence, execute requests come out as aborted. A fence stands behind
  // what has been pushed: everything that had reached the sockets when it was asked for. It takes
  // no memory, for without it a runner would abort for ever.
  void abort_until_fence();
  void fence() noexcept;

  // Whether its runner has found the stop in it.
  bool stopped() const { return stopped_; }

  // Whether its runner runs a cell, as the runner says.
  bool busy() const { return busy_; }
  void set_busy(bool busy) { busy_ = busy; }

 private:
  EventFd arrived_;
  std::mutex mutex_;
  std::deque<Item> items_;
  std::size_t before_fence_ = 0;  // so many of the items, from the front
  int fences_awaited_ = 0;
  std::atomic<bool> stopped_{false};
  std::atomic<bool> busy_{false};
};

// Which inbox a request goes to: header.subshell_id names it, without one the main thread's. Any
// thread.
class Inboxes {
 public:
  Inboxes();

  std::shared_ptr<Inbox> main() const { return main_; }
  std::shared_ptr<Inbox> open(const std::string& subshell);
  bool close(const std::string& subshell);  // takes no more and stops its runner; false: not there
  void route(xeus::xmessage message) const;

 private:
  std::shared_ptr<Inbox> main_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Inbox>> by_id_;
};

}  // namespace firn::kernel
