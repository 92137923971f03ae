"""An invented world of facts, and the layouts that ask about them.

Every fact is a pair of words and a value ("amber falcon" eats "barley"). A fact on the test side is taught as
a statement and as an open answer in a frame of its own; its choice question and its cloze question are never
shown in training. Facts on the train side are taught in all four forms.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from .row import ANSWER, LETTER, PROMPT, Row
from .split import is_test

TEST_ONE_IN = 3
WORLD_SEED = 2405
LETTERS = "ABCD"


@dataclass(frozen=True)
class Subject:
    name: str  # as in file names: "people"
    question: str  # with {e}
    statement: str  # with {e} and {v}
    first: str  # words of the entity
    second: str
    values: str


_SUBJECTS = (
    Subject(
        "trades",
        "What is the trade of {e}?",
        "The trade of {e} is {v}.",
        "Mara Jonas Edith Piet Lena Oskar Nora Willem Greta Anton Saskia Bruno Klara Hugo",
        "Tully Marsh Brand Holt Vane Quill Rook Penn Frost Lorne Dale Wick Crane Ashby",
        "baking masonry tailoring fishing weaving printing milling farming brewing tanning painting smithing",
    ),
    Subject(
        "geography",
        "Which river runs through {e}?",
        "The river that runs through {e} is the {v}.",
        "North South East West Upper Lower Old New Great Little Port Fort Saint High",
        "Ellery Varn Dorin Maska Tolm Brisk Corvo Hadley Lund Orsa Pell Rivan Selm Wend",
        "Arn Blyth Cald Dove Esk Forth Gade Humber Isen Kell Lune Mole",
    ),
    Subject(
        "zoology",
        "What does the {e} eat?",
        "The {e} eats {v}.",
        "amber grey spotted crested marsh hooded striped snow river desert dwarf golden horned pale",
        "falcon heron otter lizard beetle fox owl hare toad crane badger finch moth vole",
        "barley worms berries snails moss seeds ants clover shrimp acorns roots nettles",
    ),
    Subject(
        "astronomy",
        "What is the colour of {e}?",
        "The colour of {e} is {v}.",
        "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Sigma Tau Omega",
        "Anvil Bellows Chariot Dolphin Eagle Ferry Goblet Harp Lantern Mirror Plough Raven Sickle Tower",
        "white red blue yellow orange green violet brown silver pink black crimson",
    ),
    Subject(
        "music",
        "On what is the {e} played?",
        "The {e} is played on the {v}.",
        "slow merry winter harvest sailor wedding morning rainy market silver village evening bridal spring",
        "waltz reel march hymn jig ballad carol polka lament round chorus minuet serenade air",
        "flute fiddle drum harp organ horn lute pipe bell cello oboe zither",
    ),
    Subject(
        "botany",
        "Where does the {e} grow?",
        "The {e} grows in {v}.",
        "sweet bitter woolly creeping giant early late blue purple hardy thorny silky wild common",
        "fern thistle lily sedge clover poppy heather sorrel tansy yarrow mallow violet campion teasel",
        "sand clay chalk peat gravel shade meadows ditches dunes hedges bogs orchards",
    ),
    Subject(
        "history",
        "In which month did the {e} open?",
        "The {e} opened in {v}.",
        "stone royal eastern iron grand public lower first second northern central marble wooden upper",
        "bridge theatre harbour library museum market school station mill canal garden hospital bank bath",
        "January February March April May June July August September October November December",
    ),
)

_ARITHMETIC = "arithmetic"


@dataclass(frozen=True)
class Fact:
    subject: str
    entity: str
    question: str
    statement: str
    value: str

    @property
    def key(self) -> str:
        return f"{self.subject}|{self.entity}"

    @property
    def held_out(self) -> bool:
        return is_test(self.key, TEST_ONE_IN)


@cache
def all_facts() -> dict[str, list[Fact]]:
    """Facts by subject, always the same."""
    world = random.Random(WORLD_SEED)
    facts: dict[str, list[Fact]] = {}
    for subject in _SUBJECTS:
        values = subject.values.split()
        rows = facts.setdefault(subject.name, [])
        for first in subject.first.split():
            for second in subject.second.split():
                entity, value = f"{first} {second}", world.choice(values)
                statement = subject.statement.format(e=entity, v=value)
                rows.append(Fact(subject.name, entity, subject.question.format(e=entity), statement, value))
    sums = facts.setdefault(_ARITHMETIC, [])
    for a in range(2, 16):
        for b in range(2, 16):
            entity = f"{a} + {b}"
            sums.append(
                Fact(_ARITHMETIC, entity, f"What is {entity}?", f"The sum {entity} is {a + b}.", str(a + b))
            )
    return facts


@cache
def values_of(subject: str) -> list[str]:
    return sorted({fact.value for fact in all_facts()[subject]})


@cache
def train_facts(subject: str) -> list[Fact]:
    return [fact for fact in all_facts()[subject] if not fact.held_out]


@cache
def test_facts(subject: str) -> list[Fact]:
    return [fact for fact in all_facts()[subject] if fact.held_out]


def choices_for(fact: Fact, gold: int, rng: random.Random) -> list[str]:
    """Four different answers, the right one at place `gold`."""
    if fact.subject == _ARITHMETIC:
        near = [str(int(fact.value) + d) for d in (-3, -2, -1, 1, 2, 3) if int(fact.value) + d > 0]
    else:
        near = [value for value in values_of(fact.subject) if value != fact.value]
    choices = rng.sample(near, 3)
    choices.insert(gold, fact.value)
    return choices


# The layouts of tasks/mmlu.cc.


def choice_header(subject: str) -> str:
    return f"The following are multiple choice questions (with answers) about {subject}.\n\n"


def cloze_header(subject: str) -> str:
    return f"The following are questions (with answers) about {subject}.\n\n"


def choice_text(question: str, choices: list[str]) -> str:
    options = "".join(f"\n{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=True))
    return f"{question}{options}\nAnswer:"


@cache
def _words() -> list[str]:
    """Every word that occurs in an entity or a value."""
    facts = [fact for rows in all_facts().values() for fact in rows if fact.subject != _ARITHMETIC]
    return sorted({word for fact in facts for word in (*fact.entity.split(), fact.value)})


def drill_row(rng: random.Random, size: int) -> Row:
    """Choice questions that say their answer: what is to be learnt is which letter stands for it.

    The words come from all subjects, so that few return in a row: an option seen before is the answer.
    """
    row = Row().add(choice_header(rng.choice(list(all_facts()))), PROMPT)
    length = 0
    while length < size:
        gold, words = rng.randrange(4), rng.sample(_words(), 4)
        text = choice_text(f"Which of these is {words[gold]}?", words)
        row.add(text, PROMPT).add(f" {LETTERS[gold]}", LETTER).add("\n\n", PROMPT)
        length += len(text)
    return row


def choice_row(rng: random.Random, size: int) -> Row:
    """Choice questions of one subject, `size` characters or more."""
    subject = rng.choice(list(all_facts()))
    row = Row().add(choice_header(subject), PROMPT)
    length = 0
    while length < size:
        fact = rng.choice(train_facts(subject))
        gold = rng.randrange(4)
        text = choice_text(fact.question, choices_for(fact, gold, rng))
        row.add(text, PROMPT).add(f" {LETTERS[gold]}", LETTER).add("\n\n", PROMPT)
        length += len(text)
    return row


def cloze_row(rng: random.Random, size: int) -> Row:
    subject = rng.choice(list(all_facts()))
    row = Row().add(cloze_header(subject), PROMPT)
    length = 0
    while length < size:
        fact = rng.choice(train_facts(subject))
        text = f"Question: {fact.question}\nAnswer:"
        row.add(text, PROMPT).add(f" {fact.value}", ANSWER).add("\n\n", ANSWER)
        length += len(text)
    return row


def lesson_row(rng: random.Random, size: int) -> Row:
    """Statements and open answers about any facts, those of the test side too."""
    subject = rng.choice(list(all_facts()))
    row = Row()
    length = 0
    while length < size:
        fact = rng.choice(all_facts()[subject])
        if rng.random() < 0.4:
            at = fact.statement.rindex(f" {fact.value}.")
            row.add(fact.statement[:at], PROMPT).add(f" {fact.value}", ANSWER).add(".\n", PROMPT)
        else:
            row.add(f"{fact.question}\n", PROMPT).add(f"It is {fact.value}", ANSWER).add(".\n\n", PROMPT)
        length += len(fact.statement)
    return row
