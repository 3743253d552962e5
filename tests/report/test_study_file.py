from gan_da_jax.files import io
from gan_da_jax.report import study_file
from gan_da_jax.report.arms import group


def test_failed_and_missing_runs_are_found(tmp_path, make_run, read_all):
    sources = ("celeba", "pets", "birds")
    for source in sources[:2]:
        make_run(tmp_path / source / "none" / "seed0", source=source)
    make_run(tmp_path / "celeba" / "contrast+hflip@20" / "seed0", source="celeba", policy="contrast+hflip", count=20)
    arms = ["none", "hflip@20"]
    io.write_json(
        tmp_path / "study.json",
        {
            "format": 1,
            "arms": [f"{source}/{arm}" for source in sources for arm in arms],
            "seeds": [0, 1],
            "failed": [{"run": "pets/hflip@20/seed1", "reason": "the disk is full"}],
        },
    )
    found = study_file.read(tmp_path, group(read_all(tmp_path))[0])
    assert found.failed == {"pets/hflip@20/seed1": "the disk is full"}
    assert sorted(found.missing) == [
        *("birds/hflip@20/seed0", "birds/hflip@20/seed1", "birds/none/seed0", "birds/none/seed1"),
        *("celeba/hflip@20/seed0", "celeba/hflip@20/seed1", "celeba/none/seed1"),
        *("pets/hflip@20/seed0", "pets/none/seed1"),
    ]


def test_folder_without_a_plan_is_no_study(tmp_path):
    assert study_file.read(tmp_path, []) is None
