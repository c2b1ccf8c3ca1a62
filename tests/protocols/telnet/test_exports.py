import holdfast.protocols.telnet as telnet


def test_the_public_names() -> None:
    assert telnet.__all__ == [
        "Capabilities",
        "CapabilitiesChanged",
        "Event",
        "Fault",
        "Gmcp",
        "InputHidden",
        "Interrupt",
        "LineTooLong",
        "Mtts",
        "OutputAborted",
        "ProbeAnswered",
        "Prompt",
        "Settled",
        "TelnetClient",
        "TelnetServer",
        "Terminal",
        "Violation",
        "WindowSize",
    ]
    assert all(hasattr(telnet, name) for name in telnet.__all__)
