"""What does a text say besides its words? One test for each kind of line."""

from __future__ import annotations

import pytest

from orchestr8_index.lexicon.readings import meanings
from orchestr8_index.lexicon.tables import tables
from orchestr8_index.text import Terms, raw_words

TERMS = Terms()


def read(text: str) -> dict[str, set[str]]:
    """Words by kind."""
    raws = raw_words(text)
    found: dict[str, set[str]] = {}
    folded, stems, _ = map(list, zip(*TERMS.forms(raws), strict=True))
    for each in meanings(tables(), text, raws, folded, stems):
        found.setdefault(each.kind, set()).update(each.words.split())
    return found


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("the k8s upgrade", "kubernetes"),
        ("review my PRs", "review"),
        ("add 2FA", "authentication"),
        ("we need SOC 2", "compliance"),
        ("our Next build", "nextjs"),
        ("why is ci/cd red", "pipeline"),
    ],
)
def test_a_short_form_is_read(text: str, word: str) -> None:
    assert word in read(text)["short"]


@pytest.mark.parametrize(
    ("text", "word"),
    [("connect Adyen", "payment"), ("a Kibana view", "logging"), ("tickets in Linear", "planning")],
)
def test_a_product_is_read_as_what_it_is_for(text: str, word: str) -> None:
    assert word in read(text)["product"]


@pytest.mark.parametrize("text", ["what is next", "a linear scale", "Next, we deploy", "can we go"])
def test_an_everyday_word_is_no_name(text: str) -> None:
    assert not {"product", "short"} & set(read(text))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("tests for lib/basket.go", "golang"),
        ("why is Basket.tsx slow", "typescript"),
        ("basket.spec.rb.", "ruby"),
        ("_.py", "python"),
        ("open ..\\src\\basket.cs", "csharp"),
    ],
)
def test_a_file_is_read_as_what_it_is_written_in(text: str, word: str) -> None:
    assert word in read(text)["file"]


def test_the_name_of_a_file_stands_for_nothing_else() -> None:
    assert "payment" in read("tests for the cart")["short"]
    assert "short" not in read("look at src/cart.lua, please")


@pytest.mark.parametrize("text", ["chart.js in red", "see example.com", "v1.2", "ends. go"])
def test_what_has_a_dot_need_not_be_a_file(text: str) -> None:
    assert "file" not in read(text)


def test_the_longest_key_is_taken() -> None:
    found = read("google cloud run is slow")
    assert "search" not in found.get("short", set())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("every screen loads so slowly and hangs", "performance"),
        ("the site went down", "incident"),
        ("aws costs have doubled", "cost"),
        ("somebody hacked us", "security"),
        ("our tests are flaky", "flaky"),
        ("customers cancel after a week", "churn"),
        ("the fans go wild", "cpu"),
        ("a bot floods our login", "attack"),
    ],
)
def test_a_symptom_is_read_as_its_field(text: str, word: str) -> None:
    assert word in read(text)["symptom"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("change the nightly job to run at five", "career"),
        ("write a cron job that cleans old files", "hr"),
        ("the CI pipeline is stuck", "sales"),
        ("this leads to more timeouts", "sales"),
        ("the client returns 401", "churn"),
        ("our client cancels the request after five seconds", "churn"),
        ("the client drops the connection", "churn"),
        ("the client keeps sending the same request", "prioritization"),
        ("does the http client support proxies", "customer"),
        ("the client lost its connection", "research"),
        ("audit the token usage of our prompts", "blockchain"),
        ("deploy with the new api contract", "blockchain"),
        ("rotate the app's keys", "mobile"),
        ("the config file is in the wrong location", "geospatial"),
        ("the app's TLS certificate expired", "mobile"),
        ("access controls are broken", "game"),
        ("the AI does not follow instructions", "game"),
        ("pandas data frame loading", "game"),
        ("drop a column from the data frame", "game"),
        ("api calls are slow", "video"),
        ("the rollout strategy is risky", "trading"),
        ("promote the release candidate to staging", "hr"),
        ("find release candidates", "hr"),
        ("the model exceeds its token budget", "financial"),
        ("review the performance of the report query", "hr"),
        ("page not found after deploy", "seo"),
        ("the search page is slow", "seo"),
        ("user is not allowed to copy the file", "legal"),
        ("audit the contract between services", "blockchain"),
        ("the device connect dialog is ugly", "firmware"),
        ("our websocket drops connection", "firmware"),
        ("unknown file type error", "malware"),
        ("the setTimeout timer never fires", "firmware"),
        ("print the user list", "windows"),
        ("copy data to another machine", "iot"),
        ("write a sample test", "statistics"),
        ("lock the config file while writing", "hardening"),
        ("add a domain service for orders", "directory"),
        ("find the docs of this api", "vector"),
        ("open a pull request from the remote", "hr"),
        ("find the error in the log file", "authentication"),
        ("log rotation fails at night", "authentication"),
        ("I cannot find it in the logs", "authentication"),
        ("look up the user in the cache", "research"),
        ("the parser breaks on this file", "refactoring"),
        ("import the tickets into the database", "planning"),
        ("deploy breaks this feature", "estimation"),
        ("better way to copy files", "copywriting"),
        ("vault owner changed", "blockchain"),
        ("the view model is wrong", "llm"),
        ("the expected result is missing in the report", "vector"),
        ("api contract changed", "legal"),
        ("exchange the token for a session", "email"),
        ("write the contract tests between services", "legal"),
        ("show a spinner while data loads", "etl"),
    ],
)
def test_programmers_words_are_not_read_as_another_trades(text: str, word: str) -> None:
    found = read(text)
    assert word not in found.get("symptom", set()) | found.get("short", set())


@pytest.mark.parametrize(
    "text",
    ["users can't log in", "i cannot sign in", "nobody can sign in since monday", "login broken"],
)
def test_who_cannot_log_in_is_understood(text: str) -> None:
    assert "authentication" in read(text)["symptom"]


def test_the_parts_of_a_symptom_are_near_each_other() -> None:
    filler = "which we wrote about at some length here " * 3
    assert "symptom" in read("the image is heavy")
    assert "symptom" not in read(f"the image {filler}is heavy")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('Traceback (most recent call last): File "app/x.py", line 3', "python"),
        ("thread 'main' panicked at src/main.rs:4:5", "rust"),
        ("KafkaException: offset commit was refused", "streaming"),
        ("Error: connect ECONNREFUSED 127.0.0.1:5432", "postgresql"),
        ("error: failed to push some refs to 'origin'", "git"),
        ("** (EXIT from #PID<0.94.0>) shell process exited", "elixir"),
        ('Failed to pull image "app:latest": code = NotFound', "container"),
        ("segmentation fault (core dumped)", "cpp"),
        ("PHP Fatal error:  Uncaught Error: Class 'X' was not found", "php"),
        ('Exception in thread "main" at com.acme.Shop.main(Shop.java:12)', "java"),
        ("panic: runtime error: index out of range [3]", "golang"),
        ("error TS2551: Property 'x' does not exist on type 'Y'", "typescript"),
        ("Fatal error: Allowed memory size of 134217728 bytes exhausted", "php"),
        ('ERROR: duplicate key value violates unique constraint "a_pkey"', "postgres"),
        ("pod shop-1 0/1 CrashLoopBackOff", "kubernetes"),
        ("Access to fetch at 'https://a' from origin 'https://b' blocked by CORS policy", "cors"),
        ("x509: certificate has expired or is not yet valid", "tls"),
        ("CONFLICT (content): Merge conflict in a.txt", "git"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory", "pytorch"),
        ("Error: VM Exception while processing transaction: reverted", "solidity"),
        ("MyShopException: at Shop.sell(Shop.java:3)", "java"),
        ("ImagePullBackOff", "kubernetes"),
        ("is used as a type here. TS2749", "typescript"),
        ("Couldn’t match expected type ‘Int’", "haskell"),
        ("ERROR: no such target '//shop:app': target 'app' not declared", "bazel"),
        ("Get-ADUser : Cannot find an object with identity: 'jo'", "powershell"),
        ("%OSPF-5-ADJCHG: Process 1, Nbr 10.1.1.1 from FULL to DOWN", "network"),
        ("helm: Error: UPGRADE FAILED: timed out waiting for the condition", "kubernetes"),
    ],
)
def test_a_message_is_read_as_who_writes_it(text: str, word: str) -> None:
    assert word in read(text)["error"]


@pytest.mark.parametrize("text", ["add a git hook", "the workflow of our team", "a relaxed axe"])
def test_a_plain_request_is_no_message(text: str) -> None:
    assert "error" not in read(text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("panic: nil pointer dereference [signal SIGSEGV]", "cpp"),
        ("duckdb.ProgrammingError: table t does not exist", "django"),
    ],
)
def test_a_message_is_not_read_as_who_else_might_write_it(text: str, word: str) -> None:
    assert word not in read(text)["error"]


def test_a_message_has_no_symptoms() -> None:
    assert "symptom" not in read("TypeError: page.load is not a function, tests fail")
