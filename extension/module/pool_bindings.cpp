#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "heap/cpus.hpp"
#include "module/bindings.hpp"
#include "pool/messages.hpp"
#include "pool/pool.hpp"

namespace py = pybind11;

namespace firn {
namespace {

/// An event with the Python objects made of it so far.
struct PythonEvent {
  pool::Event event;
  py::object result;
};

const char* kind_of(const PythonEvent& self) {
  switch (self.event.kind) {
    case pool::EventKind::chunk:
      return "chunk";
    case pool::EventKind::output:
      return "output";
    default:
      return "failed";
  }
}

py::object result_of(PythonEvent& self) {
  if (self.event.kind != pool::EventKind::chunk)
    throw py::attribute_error(pool::messages::no_result);
  if (self.event.parcel) {
    self.result = self.event.parcel->open();
    self.event.parcel.reset();
  }
  return self.result;
}

py::list lost_work(const pool::JobHandle& self) {
  py::list out;
  for (const pool::LostWork& lost : self.lost()) {
    out.append(py::make_tuple(lost.start, lost.stop, lost.rank, lost.began, lost.ended,
                              lost.setup_seconds, lost.freeze_seconds, lost.delay_seconds,
                              lost.whole));
  }
  return out;
}

/// A lone surrogate is text, too.
py::str text_of(const PythonEvent& self) {
  return py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(
      self.event.text.data(), static_cast<Py_ssize_t>(self.event.text.size()), "surrogatepass"));
}

/// Messages for the notebook's display, a line each: see firn/showing.py. The others are 1 and 2.
constexpr int display_stream = 3;

void worker_write(int stream, const py::str& text) {
  pool::Worker* worker = pool::Worker::current();
  if (!worker) throw std::runtime_error(pool::messages::not_a_worker);
  const auto bytes = py::reinterpret_steal<py::bytes>(
      PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogatepass"));
  if (!bytes) throw py::error_already_set();
  std::string_view rest = bytes;
  const pool::WithoutGil released;
  if (worker->scheduler.write(*worker, stream, rest)) return;
  if (stream != display_stream) pool::write_to_process(stream, rest);
}

int cpu_count() {
  const int usable =
      py::module_::import("os").attr("process_cpu_count")().cast<std::optional<int>>().value_or(1);
  const int quota = heap::cgroup_cpus();
  return quota == 0 ? usable : std::min(usable, quota);
}

}  // namespace

void bind_pool(py::module_& module) {
  py::class_<PythonEvent>(module, "Event")
      .def_property_readonly("kind", kind_of)
      .def_property_readonly("start", [](const PythonEvent& self) { return self.event.start; })
      .def_property_readonly("stop", [](const PythonEvent& self) { return self.event.stop; })
      .def_property_readonly("rank", [](const PythonEvent& self) { return self.event.rank; })
      .def_property_readonly("began", [](const PythonEvent& self) { return self.event.began; })
      .def_property_readonly("ended", [](const PythonEvent& self) { return self.event.ended; })
      .def_property_readonly("setup_seconds",
                             [](const PythonEvent& self) { return self.event.setup_seconds; })
      .def_property_readonly("delay_seconds",
                             [](const PythonEvent& self) { return self.event.delay_seconds; })
      .def_property_readonly("freeze_seconds",
                             [](const PythonEvent& self) { return self.event.freeze_seconds; })
      .def_property_readonly("pickled", [](const PythonEvent& self) { return self.event.pickled; })
      .def_property_readonly("result", result_of)
      .def_property_readonly("stream",
                             [](const PythonEvent& self) {
                               return self.event.stream == display_stream ? "display"
                                      : self.event.stream == 2            ? "stderr"
                                                                          : "stdout";
                             })
      .def_property_readonly("text", text_of)
      .def_property_readonly("error", text_of);

  py::class_<pool::JobHandle>(module, "Job")
      .def(
          "next",
          [](pool::JobHandle& self, std::optional<double> timeout) -> std::optional<PythonEvent> {
            auto event = self.next(timeout);
            if (!event) return std::nullopt;
            return PythonEvent{std::move(*event), {}};
          },
          py::arg("timeout") = py::none())
      .def_property_readonly("done", &pool::JobHandle::done)
      .def_property_readonly("lost", lost_work)
      .def("truncate", &pool::JobHandle::truncate, py::arg("stop"))
      .def("cancel", &pool::JobHandle::cancel, py::arg("grace") = 2.0)
      .def("close", &pool::JobHandle::close);

  py::class_<pool::Pool>(module, "Pool")
      .def(py::init<std::size_t, std::string>(), py::arg("workers"),
           py::arg("runtime") = "firn.worker")
      .def_property_readonly("size", &pool::Pool::size)
      .def("warm", &pool::Pool::warm)
      .def("resize", &pool::Pool::resize, py::arg("workers"))
      .def("tidy", &pool::Pool::tidy, py::arg("seconds"))
      .def("close", &pool::Pool::close)
      .def("workers",
           [](const pool::Pool& self) {
             py::list workers;
             for (const auto& info : self.workers()) {
               py::dict entry;
               entry["rank"] = info.rank;
               entry["state"] = info.state;
               entry["generation"] = info.generation;
               workers.append(entry);
             }
             return workers;
           })
      .def("submit", &pool::Pool::submit, py::keep_alive<0, 1>(), py::arg("setup"),
           py::arg("count"), py::kw_only(), py::arg("chunk") = 0, py::arg("workers") = 0,
           py::arg("pinned") = false);

  module.def("worker_write", worker_write, py::arg("stream"), py::arg("text"));
  module.def("cpu_count", cpu_count);
}

}  // namespace firn
