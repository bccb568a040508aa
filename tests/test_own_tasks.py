"""A task of one's own, named by its place: found, run once, and what is not there."""

import pytest

from rnnvanish import tasks
from rnnvanish.task import stream

OWN = """
from dataclasses import dataclass
from rnnvanish.tasks import Recall
from rnnvanish.task import Batch, Task
@dataclass(frozen=True)
class Last(Task):
    length: int = 5
    paper, input_size, output_size, floor = Recall.paper, 1, 2, 0.7
    def draw(self, count, generator, part):
        batch = Recall(self.length).draw(count, generator, part)
        return batch._replace(inputs=batch.inputs.flip(0))
print("run")
"""


def test_a_task_of_ones_own_is_found_by_its_place_and_run_once(tmp_path, monkeypatch, capsys):
    (tmp_path / "own_task.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    assert not tasks.is_found("own_task.py:Last")
    kind = tasks.find("own_task.py:Last")
    assert kind(length=7).sample(2, stream(0)).inputs.shape == (7, 2, 1)
    assert tasks.find(f"{tmp_path}/own_task.py:Last") is kind
    assert tasks.is_found("own_task.py:Last")
    assert capsys.readouterr().out == "run\n"
    assert tasks.find("recall") is tasks.ALL["recall"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("recal", "There is no task 'recal'. Did you mean recall"),
        (
            "own_task.py:Lost",
            "has no task 'Lost'. Did you mean Last. There are: Last, Recall".replace("Last. ", r"Last\? "),
        ),
        ("nothing.py:Last", "There is no file .*nothing.py"),
        ("broken.py:Last", "broken.py failed .*line 1.*ZeroDivisionError"),
    ],
)
def test_a_task_that_is_not_there(tmp_path, monkeypatch, name, said):
    (tmp_path / "own_task.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said):
        tasks.find(name)
