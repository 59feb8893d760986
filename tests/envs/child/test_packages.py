"""Known packages: their interpreters, experts and installation."""

import sys
from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.envs.child import install as installation
from hilserl.envs.child.install import install
from hilserl.envs.child.packages import PACKAGES, EnvPackage, find_python, package_of, python_in, script_of
from hilserl.envs.gymnasium_expert import expert_of
from hilserl.errors import HilserlError
from hilserl.training.config import preset


def test_packages_pin_versions_and_their_scripts_exist() -> None:
    for name, package in PACKAGES.items():
        assert package.requirements[0].startswith(f"{name}==")
        assert package_of(package.example) is package
        script = script_of(package)
        assert script is None or "def expert(env, observation)" in script.read_text()
    assert package_of("gymnasium:InvertedPendulum-v5") is None


def test_presets_of_packages_with_an_expert_have_an_operator() -> None:
    config = preset("metaworld:Meta-World/MT1")
    assert (config.operator, config.demonstrations, config.reward) == ("scripted", 20, "success")
    assert expert_of("metaworld:Meta-World/MT1", None).endswith("for_metaworld.py:expert")
    assert expert_of("metaworld:Meta-World/MT1", "") == ""
    assert preset("panda_gym:PandaReach-v3").operator == "none"


def test_interpreter_is_a_file_or_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert find_python(sys.executable) == Path(sys.executable)
    with pytest.raises(HilserlError, match=r"metaworld is not installed\. Install it: hilserl env install metaworld"):
        find_python("metaworld")
    python = python_in(tmp_path / "hilserl" / "envs" / "metaworld")
    python.parent.mkdir(parents=True)
    python.touch()
    assert find_python("metaworld") == python
    with pytest.raises(HilserlError, match="Did you mean 'metaworld'"):
        find_python("meta-world")


def test_list_names_every_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["env"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in PACKAGES)
    assert str(tmp_path) in shown


def test_install_refuses_what_cannot_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, "old", EnvPackage(("old==1",), "old:Old-v0", last_python=(3, 8)))
    with pytest.raises(HilserlError, match=r"no wheels for Python 3\.\d+; the newest .* 3\.8.*--python python3\.8"):
        install("old", tmp_path / "old")
    with pytest.raises(HilserlError, match="Unknown package 'meta'"):
        install("meta", tmp_path / "meta")
    with pytest.raises(HilserlError, match="cannot be started"):
        install("metaworld", tmp_path / "meta", tmp_path / "python")
    assert main(["env", "install"]) == 1
    assert main(["env", "list", "metaworld"]) == 1


def test_failed_installation_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "venv" / "kept"
    kept.parent.mkdir()
    kept.touch()

    def fail(command: list[str], failure: str) -> None:
        raise HilserlError(f"{failure}: {command[0]}")

    monkeypatch.setattr(installation, "_run", fail)
    with pytest.raises(HilserlError, match="Cannot make a virtual environment"):
        install("metaworld", tmp_path / "venv")
    assert [path.name for path in tmp_path.iterdir()] == ["venv"]
    assert kept.exists()
