#include "tasks/mmlu_subjects.h"

namespace fathom::tasks {
namespace {

constexpr std::string_view kStem = "stem";
constexpr std::string_view kHumanities = "humanities";
constexpr std::string_view kSocialSciences = "social_sciences";
constexpr std::string_view kOther = "other";

constexpr std::string_view kCategories[] = {kStem, kHumanities, kSocialSciences, kOther};

constexpr MmluSubject kSubjects[] = {
    {"abstract_algebra", kStem, kStem},
    {"anatomy", kStem, kOther},
    {"astronomy", kStem, kStem},
    {"business_ethics", kOther, kOther},
    {"clinical_knowledge", kOther, kOther},
    {"college_biology", kStem, kStem},
    {"college_chemistry", kStem, kStem},
    {"college_computer_science", kStem, kStem},
    {"college_mathematics", kStem, kStem},
    {"college_medicine", kOther, kOther},
    {"college_physics", kStem, kStem},
    {"computer_security", kStem, kStem},
    {"conceptual_physics", kStem, kStem},
    {"econometrics", kSocialSciences, kSocialSciences},
    {"electrical_engineering", kStem, kStem},
    {"elementary_mathematics", kStem, kStem},
    {"formal_logic", kHumanities, kHumanities},
    {"global_facts", kOther, kOther},
    {"high_school_biology", kStem, kStem},
    {"high_school_chemistry", kStem, kStem},
    {"high_school_computer_science", kStem, kStem},
    {"high_school_european_history", kHumanities, kHumanities},
    {"high_school_geography", kSocialSciences, kSocialSciences},
    {"high_school_government_and_politics", kSocialSciences, kSocialSciences},
    {"high_school_macroeconomics", kSocialSciences, kSocialSciences},
    {"high_school_mathematics", kStem, kStem},
    {"high_school_microeconomics", kSocialSciences, kSocialSciences},
    {"high_school_physics", kStem, kStem},
    {"high_school_psychology", kSocialSciences, kSocialSciences},
    {"high_school_statistics", kStem, kStem},
    {"high_school_us_history", kHumanities, kHumanities},
    {"high_school_world_history", kHumanities, kHumanities},
    {"human_aging", kOther, kOther},
    {"human_sexuality", kSocialSciences, kSocialSciences},
    {"international_law", kHumanities, kHumanities},
    {"jurisprudence", kHumanities, kHumanities},
    {"logical_fallacies", kHumanities, kHumanities},
    {"machine_learning", kStem, kStem},
    {"management", kOther, kOther},
    {"marketing", kOther, kOther},
    {"medical_genetics", kOther, kOther},
    {"miscellaneous", kOther, kOther},
    {"moral_disputes", kHumanities, kHumanities},
    {"moral_scenarios", kHumanities, kHumanities},
    {"nutrition", kOther, kOther},
    {"philosophy", kHumanities, kHumanities},
    {"prehistory", kHumanities, kHumanities},
    {"professional_accounting", kOther, kOther},
    {"professional_law", kHumanities, kHumanities},
    {"professional_medicine", kOther, kOther},
    {"professional_psychology", kSocialSciences, kSocialSciences},
    {"public_relations", kSocialSciences, kSocialSciences},
    {"security_studies", kSocialSciences, kSocialSciences},
    {"sociology", kSocialSciences, kSocialSciences},
    {"us_foreign_policy", kSocialSciences, kSocialSciences},
    {"virology", kOther, kOther},
    {"world_religions", kHumanities, kHumanities},
};

}  // namespace

std::span<const MmluSubject> mmlu_subjects() {
  return kSubjects;
}

std::span<const std::string_view> mmlu_categories() {
  return kCategories;
}

}  // namespace fathom::tasks
