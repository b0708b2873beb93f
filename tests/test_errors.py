from vinfo_mpi.errors import InputError, choices


def test_nearest_names_come_first_and_alone():
    assert (
        choices("resnet81", ["vgg11", "resnet18", "resnet34"])
        == "did you mean 'resnet18', 'resnet34'?"
    )


def test_at_most_three_are_near():
    assert choices("tap", ["tap1", "tap2", "tap3", "tap4"]).count("'tap") == 3


def test_all_are_listed_where_none_is_near():
    assert choices("x", ["held-out", "in-sample"]) == "valid: held-out, in-sample"


def test_long_lists_are_cut():
    assert choices("x", map(str, range(100)), at_most=3) == "valid: 0, 1, 2, ... (100 in all)"


def test_names_may_be_anything():
    assert choices(3, [1, 2]) == "valid: 1, 2"
    assert choices("x", []) == "valid: "


def test_wrong_input_ends_with_2_and_is_a_wrong_value():
    assert InputError.exit_code == 2
    assert issubclass(InputError, ValueError)
