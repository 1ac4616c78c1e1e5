// The threads that help one freeze.
#pragma once

#include "heap/freezer.hpp"

#include <memory>
#include <vector>

namespace firn::heap {

// Lives on the thread that freezes, which holds the GIL; the helpers have no Python thread state
// and call nothing of CPython's that allocates, counts or raises.
class Crew {
 public:
  Crew(Freezing& freezing, unsigned threads) : freezing_(freezing), threads_(threads) {}
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Replaces all slots of the frame, its own copy of it: the copier's goes when the copier fails,
  // while helpers still read. What has to be deferred is the main copier's in the end. Throws
  // Abandoned when any of them failed.
  void fill(Copier& main, Frame frame);

  // All that the copier has still to do.
  void help(Copier& main);

  // The same for slots that were deferred; many of them are shared out.
  void fill(Copier& main, const std::vector<Deferred>& values);

  bool was_used() const { return !helpers_.empty(); }
  const std::vector<std::unique_ptr<Copier>>& helpers() const { return helpers_; }

  // Moves what all copiers have noted to freezing.originals.
  void gather_originals(Copier& main);

 private:
  template <typename Part>
  void share(Copier& main, std::size_t first, std::size_t last, const Part& part,
             bool own = false);  // with what main has to do itself
  void plan_ahead(const Frame& frame);
  void fill_planned(Copier& main);

  Freezing& freezing_;
  const unsigned threads_;
  std::vector<std::unique_ptr<Copier>> helpers_;
};

}  // namespace firn::heap
