// Prompt strings of the needle tests as their reference fixes them. Sources and licences: NOTICE.
#pragma once

#include <string_view>

namespace fathom::tasks::prompts {

// gkamradt/LLMTest_NeedleInAHaystack, needlehaystack/run.py.
inline constexpr std::string_view kNeedle =
    "\nThe best thing to do in San Francisco is eat a sandwich and sit in Dolores Park on a sunny day.\n";
inline constexpr std::string_view kNeedleQuestion = "What is the best thing to do in San Francisco?";

struct KeywordNeedle {
  std::string_view text;
  std::string_view keyword;
};
inline constexpr KeywordNeedle kPizzaNeedles[] = {
    {" Figs are one of the secret ingredients needed to build the perfect pizza. ", "figs"},
    {" Prosciutto is one of the secret ingredients needed to build the perfect pizza. ", "prosciutto"},
    {" Goat cheese is one of the secret ingredients needed to build the perfect pizza. ", "goat cheese"}};

// needlehaystack/providers: the system message and what follows the question.
inline constexpr std::string_view kNeedleSystem =
    "You are a helpful AI bot that answers questions for a user. Keep your response short and direct";
inline constexpr std::string_view kNeedleInstruction =
    " Don't give information outside the document or repeat your findings";
// needlehaystack/providers/Anthropic_prompt.txt: how the answer begins where it can be begun.
inline constexpr std::string_view kNeedleAnswer = "Here is the most relevant sentence in the context:";

// fathom's own: the scorer's keywords, and the question and cue for several needles.
inline constexpr std::string_view kNeedleKeywords[] = {"eat a sandwich", "Dolores Park", "sunny day"};
inline constexpr std::string_view kPizzaQuestion =
    "What are the secret ingredients needed to build the perfect pizza?";
inline constexpr std::string_view kPizzaAnswer = "Here are the most relevant sentences in the context:";

// fathom's own: the needle of demo_needle, on the test side of tools/nano/documents.py.
inline constexpr std::string_view kDemoNeedle =
    "\nThe best thing to do in Ellery is to watch the tide and sketch the harbour on a cloudy day.\n";
inline constexpr std::string_view kDemoQuestion = "What is the best thing to do in Ellery?";
inline constexpr std::string_view kDemoKeywords[] = {"watch the tide", "sketch the harbour", "cloudy day"};

}  // namespace fathom::tasks::prompts
