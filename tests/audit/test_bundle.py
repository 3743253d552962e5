"""What a bundle holds, and what its list of hashes tells, by Python's own zipfile and hashlib."""

import hashlib
import zipfile

import pytest

from gan_da_jax.audit import bundle

DROPPED = {  # of the files of the study below
    "a/.lock",
    "a/checkpoints/6/data",  # its audit begins at 12
    "b/checkpoints/12/data",  # its audit needs none
}


@pytest.fixture
def study(tmp_path):
    """Two runs, with files of an earlier audit."""
    files = {"study.json", "audit.json", "SHA256SUMS", "AUDIT.txt", "a/config.json", "a/dataset/6/data"}
    files |= {"a/checkpoints/6/data", "a/checkpoints/12/data", "b/config.json", "b/checkpoints/12/data", "a/.lock"}
    for number, name in enumerate(sorted(files)):
        path = tmp_path / "study" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * 100)
    return tmp_path / "study"


@pytest.fixture
def there(study, tmp_path):
    """The bundle of that study, unzipped elsewhere."""
    needed = {study / "a": {12}, study / "b": set()}
    bundle.write(tmp_path / "bundle.zip", study, needed=needed, added={"AUDIT.txt": b"how"})
    with zipfile.ZipFile(tmp_path / "bundle.zip") as zipped:
        assert len(zipped.namelist()) == len(set(zipped.namelist()))
        zipped.extractall(tmp_path / "there")
    return tmp_path / "there/study"


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_leaves_out_locks_and_the_checkpoints_that_an_audit_can_do_without(study, there):
    assert names(study) - names(there) == DROPPED and names(there) <= names(study)
    same = names(there) - {"AUDIT.txt", "SHA256SUMS"}
    assert all((there / name).read_bytes() == (study / name).read_bytes() for name in same)
    assert (there / "AUDIT.txt").read_bytes() == b"how"


def test_the_sums_are_as_sha256sum_writes_them_of_all_but_what_an_audit_writes(there):
    expected = {
        f"{hashlib.sha256((there / name).read_bytes()).hexdigest()}  {name}\n"
        for name in names(there) - {"SHA256SUMS", "audit.json"}
    }
    assert set((there / "SHA256SUMS").read_text().splitlines(keepends=True)) == expected


def test_edited_and_missing_files_differ(there):
    assert bundle.differing(there) == (6, [])
    (there / "audit.json").write_text("of another audit")
    (there / "a/config.json").write_text("edited")
    (there / "a/checkpoints/12/data").unlink()
    count, found = bundle.differing(there)
    assert count == 6 and set(found) == {"a/config.json", "a/checkpoints/12/data"}


def test_a_bundle_that_cannot_be_whole_is_not_written(study, tmp_path, monkeypatch):
    def fail(path):
        raise OSError("disk")

    monkeypatch.setattr(bundle.io, "file_sha256", fail)
    with pytest.raises(OSError, match="disk"):
        bundle.write(tmp_path / "bundle.zip", study, needed={}, added={})
    assert [path.name for path in tmp_path.iterdir()] == ["study"]
