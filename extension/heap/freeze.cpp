// Freezing from end to end: all or nothing.
#include "heap/cpus.hpp"
#include "heap/crew.hpp"
#include "heap/errors.hpp"
#include "heap/freezer.hpp"
#include "heap/hashes.hpp"
#include "heap/heap.hpp"
#include "heap/forms.hpp"
#include "heap/originals.hpp"
#include "heap/records/rounds.hpp"
#include "heap/segments.hpp"
#include "heap/transfer.hpp"
#include "heap/twins/anew.hpp"
#include "heap/twins/make_twin.hpp"
#include "heap/twins/shells.hpp"
#include "heap/twins/twins.hpp"

#include <algorithm>
#include <chrono>

namespace firn::heap {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

struct Root {
  const std::string* name;
  PyObject* object;
};

struct Frozen {
  std::vector<PyObject*> roots;
  std::shared_ptr<Forms> forms;
  std::shared_ptr<Originals> originals;
  std::vector<Span> extents;
  Figures figures;
  Needs needs;

  void take(Copier& copier) {
    figures.objects += copier.objects();
    const auto more = copier.region().finish(&figures.bytes);
    extents.insert(extents.end(), more.begin(), more.end());
    needs.definitions.insert(copier.definitions().begin(), copier.definitions().end());
    needs.segments.insert(copier.segments().begin(), copier.segments().end());
  }
};

bool is_main_interpreter() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }

enum class Outcome { done, failed, again, interrupted };

struct Task {
  Zone& zone;
  const InterpreterTypes& types;
  const std::vector<Root>& roots;
  const FreezeOptions& options;
  bool transfer;
  const int* interrupt;  // not 0 when one waits
};

// One attempt. `failed` has an exception set; `again` asks for an orderly attempt with one thread,
// which finds the first value that cannot be frozen and the path to it; `interrupted` lets Python
// handle that first.
Outcome attempt(const Task& task, const std::shared_ptr<PythonPart>& python_part, unsigned threads,
                bool orderly, Frozen& out) {
  PythonPart& python = *python_part;
  auto memo = std::make_unique<Memo>();
  Freezing freezing(task.zone, task.types, python, *memo, task.transfer, is_main_interpreter(),
                    orderly);
  freezing.looking = python.culprit != nullptr;
  freezing.keeps_originals = task.options.keeps_originals;
  Copier main(freezing);
  main.watch(task.interrupt);
  Crew crew(freezing, threads);
  if (threads > 1) main.set_crew(&crew);
  std::size_t root = 0;
  bool walked = false;
  const std::vector<Root>& roots = task.roots;
  if (task.options.keeps_forms) {
    for (const Root& each : roots) freezing.roots.push_back(each.object);
    std::sort(freezing.roots.begin(), freezing.roots.end());
  }
  try {
    out.roots.resize(roots.size());
    for (root = 0; root < roots.size(); ++root) {
      main.fill(&out.roots[root], roots[root].object, nullptr, Role::unbuilt);
      main.run();
    }
    walked = true;
    run_rounds(freezing, main, crew);
    if (!freezing.looking) check_methods(main);
    std::vector<Unchecked> unchecked = main.unchecked();
    std::vector<PyObject*> changing = main.with_twins();
    for (const auto& helper : crew.helpers()) {
      unchecked.insert(unchecked.end(), helper->unchecked().begin(), helper->unchecked().end());
      changing.insert(changing.end(), helper->with_twins().begin(), helper->with_twins().end());
    }
    const std::vector<PyObject*> only_python = check_hashes(unchecked);
    changing.insert(changing.end(), only_python.begin(), only_python.end());
    std::vector<Copier*> copiers{&main};
    for (const auto& helper : crew.helpers()) copiers.push_back(helper.get());
    make_shells(changing, out.roots, copiers);
    freezing.populator.stop();
    if (freezing.looking) {  // the graph has changed since
      raise_not_freezable(task.types, *roots.front().name, {}, python.what, python.cause);
      return Outcome::failed;
    }
    if (task.options.keeps_originals) {
      crew.gather_originals(main);
      out.originals = std::make_shared<Originals>(std::move(freezing.originals));
    }
    for (const auto& [twin, original] : main.kept()) {
      if (keep(twin, original) < 0) return Outcome::failed;
    }
    if (task.options.keeps_forms && !task.options.keeps_originals) {
      for (std::size_t i = 0; i < roots.size(); ++i) {
        if (may_change(out.roots[i]) && keep(out.roots[i], roots[i].object) < 0)
          return Outcome::failed;
      }
    }
    out.take(main);
    for (const auto& helper : crew.helpers()) out.take(*helper);
    if (task.options.keeps_forms) {
      std::ptrdiff_t held = 0;
      for (const Copier* copier : copiers) held += copier->held();
      out.forms = std::make_shared<Forms>(std::move(memo), python_part, task.types,
                                          std::move(freezing.roots), out.figures.objects, held);
    }
    return Outcome::done;
  } catch (const Interrupted&) {
    freezing.populator.stop();
    return Outcome::interrupted;
  } catch (const Abandoned&) {
    freezing.populator.stop();
    return *task.interrupt ? Outcome::interrupted : Outcome::again;
  } catch (const Raised&) {
    freezing.populator.stop();
  } catch (const Unfreezable& what) {
    freezing.populator.stop();
    if (crew.was_used() || main.left_order()) return Outcome::again;
    if (walked && !freezing.looking) {
      python.culprit = what.object;
      python.what = what;
      return Outcome::again;
    }
    raise_not_freezable(task.types, *roots[std::min(root, roots.size() - 1)].name, main.frames(),
                        what, python.cause);
  } catch (const std::bad_alloc&) {
    freezing.populator.stop();
    raise_no_memory();
  }
  return Outcome::failed;
}

bool freeze(Zone& zone, const std::vector<Root>& roots, const FreezeOptions& options, bool transfer,
            Frozen& out) {
  const InterpreterTypes* types = interpreter_types();
  if (!types) return false;
  const auto began = Clock::now();
  Task task{zone, *types, roots, options, transfer, pending_interrupt()};
  if (!task.interrupt) task.interrupt = &Copier::kNoInterrupt;
  const auto python = std::make_shared<PythonPart>();
  bool orderly = false;
  Outcome outcome;
  while (true) {
    outcome = attempt(task, python, orderly ? 1 : options.threads, orderly, out);
    if (outcome == Outcome::done || outcome == Outcome::failed) break;
    out = {};
    if (outcome == Outcome::again) {
      orderly = true;
    } else {
      if (PyErr_CheckSignals() < 0) return false;
      task.interrupt = &Copier::kNoInterrupt;  // the user's handler says to go on
    }
  }
  if (outcome != Outcome::done) return false;
  for (const Span& span : out.extents) protect(extent_of(span));
  out.figures.seconds = seconds_since(began);
  return true;
}

}  // namespace

std::optional<FreezeResult> freeze_roots(
    const std::vector<std::pair<std::string, PyObject*>>& roots, const FreezeOptions& options) {
  std::vector<Root> list;
  std::vector<std::string> names;
  for (const auto& [name, object] : roots) {
    list.push_back({&name, object});
    if (!name.empty()) names.push_back(name);
  }
  constexpr unsigned most_threads = 16;
  FreezeOptions chosen = options;
  if (!chosen.threads)
    chosen.threads = std::min(most_threads, static_cast<unsigned>(usable_cpus()));
  Frozen frozen;
  if (!freeze(lasting_zone(), list, chosen, false, frozen)) return std::nullopt;
  if (!frozen.extents.empty()) {
    frozen.figures.segment = add_segment(std::move(frozen.extents), std::move(names),
                                         frozen.figures, std::move(frozen.needs));
  }
  return FreezeResult{std::move(frozen.roots), std::move(frozen.forms), std::move(frozen.originals),
                      frozen.figures};
}

std::optional<Transfer> freeze_transfer(PyObject* root) {
  static const std::string name = "result";
  Frozen frozen;
  if (!freeze(transfer_zone(), {{&name, root}}, {.threads = 1}, true, frozen)) return std::nullopt;
  auto segment = std::make_unique<TransferSegment>();
  segment->root = frozen.roots.front();
  segment->extents = std::move(frozen.extents);
  segment->figures = frozen.figures;
  return Transfer(std::move(segment));
}

}  // namespace firn::heap
