#!/usr/bin/env python3
"""Reports as somebody else's parser reads them (Python's email). Output is TAP."""
import email
import email.policy
import os
import subprocess

PROGRAM = os.path.join(os.environ.get("top_builddir", "."), "test/unit/test_bounce")
results = []


def check(name, good, shown=""):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}")
    if not good:
        print(f"# {shown!r}")


def parse(name):
    text = subprocess.run([PROGRAM, "--print", name], stdout=subprocess.PIPE, check=True)
    return email.message_from_bytes(text.stdout, policy=email.policy.SMTP)


report = parse("plain")
check("a multipart/report", report.get_content_type() == "multipart/report")
check("about a delivery", report.get_param("report-type") == "delivery-status")
check("three parts", len(report.get_payload()) == 3, report.get_payload())
check("no defects", not any(part.defects for part in report.walk()),
      [part.defects for part in report.walk()])
check("to the sender", report["To"].addresses[0].addr_spec == "you@here.test", report["To"])
check("not to be answered", report["Auto-Submitted"] == "auto-replied")
check("a date", report["Date"].datetime.timestamp() == 1795220530, report["Date"])
human, status, header = report.get_payload()
check("a text for humans", "550 5.1.1 No such user" in human.get_content())
check("a status", status.get_content_type() == "message/delivery-status")
message, *recipients = status.get_payload()
check("who reports", message["Reporting-MTA"] == "dns; mail.demo.test", message.items())
check("two recipients", len(recipients) == 2, recipients)
check("the first", recipients[0]["Final-Recipient"] == "rfc822; bob@far.test"
      and recipients[0]["Status"] == "5.1.1" and recipients[0]["Action"] == "failed",
      recipients[0].items())
check("the second", recipients[1]["Status"] == "4.4.7", recipients[1].items())
check("the header", header.get_content_type() == "text/rfc822-headers")
check("as it was", header.get_payload(decode=True) ==
      b"Received: from a.test by b.test; Sat, 21 Nov 2026\r\n\t00:22:10 +0000\r\n"
      b"From: you@here.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =3D\r\n",
      header.get_payload(decode=True))
header = parse("eight-bit").get_payload()[2]
check("an 8-bit header, encoded", header["Content-Transfer-Encoding"] == "quoted-printable")
check("and as it was", header.get_payload(decode=True) ==
      "Subject: Grüße = 1 \r\nX-Nul: a\0b\rc\nd\r\n".encode(),
      header.get_payload(decode=True))
print(f"1..{len(results)}")
raise SystemExit(0 if all(results) else 1)
