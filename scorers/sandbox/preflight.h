// Judging what a started cell says about its own confinement, and telling a user what to do about a missing
// layer.
#pragma once

#include <string>

#include "base/error.h"
#include "scorers/sandbox/cell_plan.h"
#include "scorers/sandbox/file_descriptor.h"
#include "scorers/sandbox/setup.h"

namespace fathom::sandbox {

/// The listeners and the file of the supervisor that no confined process may reach; they exist while this
/// does.
class PreflightHost {
 public:
  /// Throws Error{kEnvironment}.
  PreflightHost();
  ~PreflightHost();
  PreflightHost(const PreflightHost&) = delete;
  PreflightHost& operator=(const PreflightHost&) = delete;
  const HostWitness& witness() const { return witness_; }

 private:
  FileDescriptor tcp_;
  FileDescriptor abstract_;
  HostWitness witness_;
};

/// The probe's report (python/probe.py) and how its process ended. Throws SetupFailure naming the first layer
/// that did not hold, or an attempt that is missing from the report.
void check_probe(const std::string& report, int status, const CellPlan& plan);

/// bubblewrap's own report about the namespaces it made. Throws SetupFailure.
void check_bubblewrap(const Zygote& zygote, const CellPlan& plan);

/// "layer: what: errno".
std::string describe(const SetupFailure& failure);
/// What a user can do about it; empty when nothing is known.
std::string remedy(const SetupFailure& failure);
/// An Error{kEnvironment} with both, and the flag that runs everything that needs no sandbox.
Error environment_error(const SetupFailure& failure, Level level);

}  // namespace fathom::sandbox
