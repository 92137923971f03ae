// The system calls that a Python program may make, by CPython minor version.
//
// Lists of names only; seccomp_filter.cc turns them into filters. docs/sandbox.md says how the list of a new
// minor version is made from a trace.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom::sandbox {

/// Oldest and newest CPython 3.x whose list was made from a trace of it. A newer one gets the newest list;
/// the preflight names the call when that does not fit.
inline constexpr int kOldestPythonMinor = 9;
inline constexpr int kNewestTracedMinor = 13;

/// Calls that are allowed whatever their arguments, for CPython 3.`minor`.
std::vector<std::string_view> allowed_calls(int minor);

/// What only the zygote may call, between two samples: fork, wait, mount, and the calls that confine its
/// child. Everything here is refused in the child by its own filter.
std::vector<std::string_view> zygote_calls();
/// What changes a file that is named or only open for reading, and what Landlock of interface `abi` does not
/// look at. Without a private root a program could do it to every file of its user.
std::vector<std::string_view> calls_past_landlock(int abi);

/// The part of zygote_calls that needs a mount namespace of our own.
std::vector<std::string_view> mount_calls();

}  // namespace fathom::sandbox
