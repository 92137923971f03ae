# The data set's side of a sample: prompt and tests of a problem, compiled once for all its samples, and whether they
# may run in a process that has judged other samples.
import ast
import builtins
import opcode

MAX_PROBLEMS = 64

# Names with which code can change what outlives it. Tests that use one of them, a name with an underscore in
# front, an attribute on the left of an assignment or a module that is not preloaded get a process of their own.
LASTING = frozenset(
    "setattr delattr exec eval compile globals locals vars open input breakpoint random seed register".split()
)
IMPORT_NAME, EXTENDED_ARG = opcode.opmap["IMPORT_NAME"], opcode.opmap["EXTENDED_ARG"]
CHANGE_OF_ATTRIBUTE = frozenset((opcode.opmap["STORE_ATTR"], opcode.opmap["DELETE_ATTR"]))


def leaves_nothing(code, modules):
    """True when nothing in `code` can leave anything behind in the interpreter that runs it, given that the
    program's values reach it as fresh plain data. Says no when in doubt."""
    if any(name in LASTING or name[0] == "_" for name in code.co_names):
        return False
    operations, argument = code.co_code, 0
    for position in range(0, len(operations), 2):
        operation = operations[position]
        argument = argument << 8 | operations[position + 1]
        if operation == EXTENDED_ARG:
            continue
        if operation in CHANGE_OF_ATTRIBUTE or operation == IMPORT_NAME and code.co_names[argument] not in modules:
            return False
        argument = 0
    return all(leaves_nothing(inner, modules) for inner in code.co_consts if type(inner) is type(code))


class TestNames(dict):
    """The builtins of the tests: real ones first, then the candidate's global names. A program can add names, but
    not shadow `set` or `abs`."""

    def __missing__(self, name):
        candidate = self["__candidate__"]
        if name == "check":
            candidate.end({"outcome": "tests", "message": "the tests define no function check"})
        return candidate.find(name)


class Problem:
    """Prompt and tests of one problem, compiled once for all its samples. The text is the data set's."""

    def __init__(self, spec, modules):
        self.spec = spec
        self.entry_point = spec.get("entry_point")
        self.broken = None
        self.prompt = None
        self.imports = ""
        self.parts = []
        try:
            self._compile(spec)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self.broken = "the tests do not compile: %s: %s" % (type(error).__name__, error)
        codes = self.parts if self.prompt is None else self.parts + [self.prompt]
        self.leaves_nothing = self.broken is None and all(leaves_nothing(code, modules) for code in codes)

    def _compile(self, spec):
        if spec["mode"] == "check":
            try:
                self.prompt = compile(spec["prompt"], "<prompt>", "exec", dont_inherit=True)
            except (SyntaxError, ValueError):
                pass  # a prompt that ends in the middle of a statement defines nothing on its own
            text = spec["test"] + "\ncheck(" + spec["entry_point"] + ")\n"
            self.parts = [compile(text, "<test>", "exec", dont_inherit=True)]
        elif spec["mode"] == "asserts":
            texts = [spec["setup"]] + spec["tests"]
            trees = [ast.parse(text) for text in texts]
            self.parts = [compile(tree, "<test>", "exec", dont_inherit=True) for tree in trees]
            imports = [node for tree in trees for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
            self.imports = "\n".join(ast.unparse(node) for node in imports)

    def run(self, candidate):
        """Runs the tests; returns when they pass and raises what they raise. `self.part` is where they are."""
        names = {"__builtins__": TestNames(vars(builtins), __candidate__=candidate)}
        self.part = 0
        if self.spec["mode"] == "program":
            candidate.wait_for_load()
            return
        if self.prompt is not None:
            exec(self.prompt, names)
        if self.entry_point and self.entry_point.isidentifier():
            names[self.entry_point] = candidate.name(self.entry_point)
        if self.imports:
            candidate.run(self.imports)
        for self.part, part in enumerate(self.parts):
            exec(part, names)
        if candidate.n_calls == 0:
            candidate.wait_for_load()

    def where(self, error):
        """Which assert failed: its number and its first line."""
        line, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == "<test>":
                line = trace.tb_lineno
            trace = trace.tb_next
        if line is None:
            return ""
        if self.spec["mode"] == "asserts":
            if self.part == 0:
                return "setup"
            tests = self.spec["tests"]
            return "assert %d of %d: %s" % (self.part, len(tests), tests[self.part - 1][:200])
        text = self.spec["test"]
        asserts = sorted(node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Assert))
        number = sum(1 for other in asserts if other <= line)
        lines = text.split("\n")
        source = lines[line - 1].strip()[:200] if line <= len(lines) else ""
        return "assert %d of %d, line %d: %s" % (number, len(asserts), line, source)


class Problems:
    """Compiled problems by key, the least recently used dropped."""

    def __init__(self, modules):
        self._modules = frozenset(modules)
        self._problems = {}

    def get(self, key, spec_fd):
        """The problem of `key`, and whether it had to be compiled."""
        problem = self._problems.pop(key, None)
        compiled = problem is None
        if compiled:
            with open(spec_fd, "rb", closefd=False) as file:
                problem = Problem(json.loads(file.read()), self._modules)
            if len(self._problems) >= MAX_PROBLEMS:
                del self._problems[next(iter(self._problems))]
        self._problems[key] = problem
        return problem, compiled
