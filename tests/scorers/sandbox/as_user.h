// Running a part of a test as another user.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace fathom::sandbox {

/// Runs `work` in a new process as a user who owns nothing and returns the lines that it returned; one line
/// about its death when it did not. Only for root.
std::vector<std::string> as_ordinary_user(const std::function<std::vector<std::string>()>& work);

/// The same as the current user: for work that changes its process for good (filters, namespaces).
std::vector<std::string> in_new_process(const std::function<std::vector<std::string>()>& work);

}  // namespace fathom::sandbox
