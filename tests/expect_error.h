// Expecting an Error: its kind and the words a user needs to find in it.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/error.h"

namespace fathom::testing {

/// Runs `action`, which must throw Error{kind} whose text contains every one of `words`.
template <typename Action>
void expect_error(ErrorKind kind, const Action& action, std::initializer_list<std::string_view> words) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    for (std::string_view word : words) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
          << "\"" << word << "\" is not in: " << error.what();
    }
    return;
  }
  ADD_FAILURE() << "expected an Error, nothing was thrown";
}

template <typename Action>
void expect_bad_input(const Action& action, std::initializer_list<std::string_view> words) {
  expect_error(ErrorKind::kBadInput, action, words);
}

}  // namespace fathom::testing
