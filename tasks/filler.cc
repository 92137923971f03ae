#include "tasks/filler.h"

#include <cstdint>
#include <span>

#include "base/error.h"

namespace fathom::tasks {
namespace {

using Words = std::span<const std::string_view>;

constexpr std::string_view kPeople[] = {
    "the harbour master",   "the old clockmaker",  "a young surveyor",  "the librarian",
    "her neighbour",        "the ferry pilot",     "a retired teacher", "the night watchman",
    "the postman",          "a visiting painter",  "the baker's son",   "the lighthouse crew",
    "the schoolmaster",     "an apprentice mason", "the gardener",      "the town clerk",
    "a travelling tailor",  "the bell ringer",     "the net mender",    "her eldest cousin",
    "the stable hand",      "a quiet carpenter",   "the miller",        "the choir leader",
    "an out-of-work sailor"};

constexpr std::string_view kThings[] = {"ledger", "lantern",  "rope",    "map",    "barometer", "basket",
                                        "letter", "ladder",   "compass", "kettle", "drum",      "shutter",
                                        "wheel",  "notebook", "anchor",  "bell",   "crate",     "coat",
                                        "key",    "oar",      "violin",  "saddle", "window",    "clock",
                                        "chair",  "lens",     "stove",   "sail",   "box",       "bicycle"};

constexpr std::string_view kAdjectives[] = {
    "old",   "narrow", "heavy",  "painted", "broken", "silent", "borrowed", "careful",  "crooked", "damp",
    "dusty", "early",  "faded",  "foreign", "gentle", "hollow", "iron",     "patient",  "plain",   "polished",
    "quick", "rough",  "second", "simple",  "sturdy", "tall",   "uneven",   "unlikely", "warm",    "wooden"};

constexpr std::string_view kPlaces[] = {
    "the market square", "the upper road",     "the boat shed",      "the river bank",     "the reading room",
    "the north gate",    "the mill pond",      "the customs house",  "the orchard wall",   "the station yard",
    "the chapel steps",  "the far pier",       "the weighing house", "the stone bridge",   "the rope walk",
    "the quarry path",   "the back staircase", "the tide gauge",     "the hillside farms", "the drying lofts",
    "the cellar",        "the common pasture", "the signal tower",   "the school yard",    "the salt stores"};

constexpr std::string_view kActions[] = {"carried",  "repaired", "counted",  "measured", "described",
                                         "forgot",   "returned", "sketched", "examined", "borrowed",
                                         "cleaned",  "packed",   "lost",     "found",    "sold",
                                         "hid",      "painted",  "moved",    "weighed",  "admired",
                                         "unlocked", "copied",   "oiled",    "wrapped",  "labelled"};

constexpr std::string_view kTimes[] = {
    "before the first frost",   "on the second morning",   "after the long rain",
    "late in the evening",      "during the harvest week", "when the tide was lowest",
    "at the end of the winter", "before the bells rang",   "in the middle of the week",
    "after the council met",    "once the snow had gone",  "on market day",
    "as the fog came in",       "while the others slept",  "in the last hour of light"};

constexpr std::string_view kReasons[] = {"nobody had asked about it for years",
                                         "the price of timber had risen again",
                                         "the wind came from the wrong side",
                                         "there was little else to do",
                                         "the figures did not add up",
                                         "the road was under water",
                                         "the old rules still applied",
                                         "it had been promised long ago",
                                         "the younger ones were away at sea",
                                         "a second opinion was wanted",
                                         "the winter stores were running low",
                                         "every other door was locked",
                                         "the weather had turned",
                                         "the ferry was late as usual",
                                         "the letter had never been answered",
                                         "the lamps were not yet lit"};

constexpr std::string_view kRemarks[] = {
    "Such things happened often enough in that season",  "Most people thought the matter closed",
    "It was not the first time, nor the last",           "The children found this very funny",
    "Nothing more was said about it that day",           "A few of the older families disagreed",
    "The newspaper gave it two lines on the third page", "For once the accounts were in order",
    "The dogs barked and then lay down again",           "The work went on more slowly after that",
    "Everyone agreed that it could have been worse",     "Later this was told in several versions"};

constexpr std::string_view kOpinions[] = {"patience matters more than strength",
                                          "a good tool outlives its owner",
                                          "no two winters are alike",
                                          "the sea keeps its own accounts",
                                          "a short answer is seldom complete",
                                          "work done twice is done badly once",
                                          "the best maps leave something out",
                                          "an honest mistake is soon mended",
                                          "rain always finds the weak tile",
                                          "a full shed makes a calm mind"};

// A stream of choices for one paragraph: SplitMix64 (Steele, Lea and Flood 2014).
class Choices {
 public:
  // The seed is mixed first: a step of the stream adds a constant, and paragraphs whose states lay a few
  // steps apart would tell the same sentences.
  explicit Choices(uint64_t seed) : state_(mixed(seed * 0xd1342543de82ef95u)) {}

  uint64_t below(uint64_t n) { return next() % n; }
  std::string_view one_of(Words words) { return words[below(words.size())]; }
  std::string thing() {
    // Two statements: the order of evaluation inside one expression is the compiler's.
    const std::string adjective(one_of(kAdjectives));
    return adjective + " " + std::string(one_of(kThings));
  }

 private:
  uint64_t next() { return mixed(state_ += 0x9e3779b97f4a7c15u); }

  static uint64_t mixed(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

std::string capitalised(std::string text) {
  if (text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

// Joins words and phrases by spaces, the first letter made a capital and a full stop put at the end.
template <typename... Parts>
std::string sentence(const Parts&... parts) {
  std::string text;
  ((text.append(text.empty() ? "" : " ").append(parts)), ...);
  return capitalised(text) + ".";
}

std::string filler_sentence(Choices& choose) {
  const std::string_view who = choose.one_of(kPeople);
  const std::string_view other = choose.one_of(kPeople);
  const std::string_view action = choose.one_of(kActions);
  const std::string_view where = choose.one_of(kPlaces);
  const std::string_view when = choose.one_of(kTimes);
  const std::string_view why = choose.one_of(kReasons);
  const std::string thing = choose.thing();
  const uint64_t many = 20 + choose.below(70);
  const uint64_t few = 2 + choose.below(17);
  switch (choose.below(9)) {
    case 0:
      return sentence(who, action, "the", thing, "near", where, when);
    case 1:
      return sentence("near", where, who, action, "the", thing, "because", why);
    case 2:
      return sentence(when, who, "and", other, action, "the", thing, "together");
    case 3:
      return sentence("the", thing, "stood behind", where, "for", std::to_string(many), "days, since", why);
    case 4:
      return sentence(choose.one_of(kRemarks));
    case 5:
      return sentence(who, "used to say that", choose.one_of(kOpinions));
    case 6:
      return sentence("although", std::string(why) + ",", who, action, "the", thing, "that", other,
                      "had left at", where);
    case 7:
      return sentence("of the", std::to_string(many), "houses beyond", std::string(where) + ",", "only",
                      std::to_string(few), "could be seen", when);
    case 8:
      return sentence("nobody knew who had", action, "the", thing, "but", other, "spoke of it", when);
    default:
      FATHOM_CHECK(false);
  }
}

}  // namespace

std::string filler_paragraph(uint64_t index) {
  Choices choose(index + 1);
  const uint64_t n_sentences = 4 + choose.below(6);
  std::string paragraph;
  for (uint64_t i = 0; i < n_sentences; ++i) {
    if (i > 0) paragraph += ' ';
    paragraph += filler_sentence(choose);
  }
  return paragraph;
}

std::string filler_text(size_t n_bytes) {
  std::string text;
  for (uint64_t index = 0; text.size() < n_bytes; ++index) {
    if (index > 0) text += "\n\n";
    text += filler_paragraph(index);
  }
  return text;
}

}  // namespace fathom::tasks
