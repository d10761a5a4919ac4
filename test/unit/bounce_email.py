#!/usr/bin/env python3
"""Reports as somebody else's parser reads them (Python's email). Output is TAP."""
import email
import email.policy
import os
import quopri
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


def fields(report):
    """The status: fields of the message, then of each recipient."""
    part = report.get_payload()[1]
    if part.get_content_type() == "message/delivery-status":
        return part.get_payload()
    # Not known to this parser, which takes the encoded text for a message.
    text = quopri.decodestring(part.get_payload()[0].as_bytes()).decode()
    return [email.message_from_string(block, policy=email.policy.SMTPUTF8)
            for block in text.replace("\r\n", "\n").split("\n\n") if block.strip()]


message, *recipients = fields(parse("every"))
check("the sender's own name for it", message["Original-Envelope-Id"] == "QQ=314159")
check("when it came", message["Arrival-Date"].startswith("Sat, 21 Nov 2026"))
check("every action", [r["Action"] for r in recipients] ==
      ["failed", "delayed", "delivered", "relayed", "expanded"], recipients)
check("every status", [r["Status"] for r in recipients] ==
      ["5.1.1", "4.7.1", "2.6.0", "2.6.0", "2.6.0"], [r["Status"] for r in recipients])
check("who it was written to", all(r["Original-Recipient"] == "rfc822; Old+Bob@far.test"
                                   for r in recipients))
check("how long it is tried", [r["Will-Retry-Until"] for r in recipients] ==
      [None, "Thu, 3 Dec 2026 00:13:20 +0000", None, None, None])

report = parse("utf-8")
raw = subprocess.run([PROGRAM, "--print", "utf-8"], stdout=subprocess.PIPE, check=True).stdout
check("7-bit, whatever it tells", all(octet < 0x80 for octet in raw))
human, status, header = report.get_payload()
check("a status of RFC 6533",
      status.get_content_type() == "message/global-delivery-status", status.get_content_type())
message, *recipients = fields(report)
check("a recipient in UTF-8", recipients[0]["Original-Recipient"] == "utf-8; böb@far.test"
      and recipients[0]["Final-Recipient"] == "rfc822; bob@far.test", recipients[0].items())
check("an address beyond ASCII", recipients[1]["Final-Recipient"] == "utf-8; böb@far.test",
      recipients[1].items())
check("and in words", "<böb@far.test>" in human.get_content(), human.get_content())
check("a header in UTF-8", header.get_content_type() == "message/global-headers")
part = raw.split(b"message/global-headers")[1].split(b"\r\n\r\n", 1)[1]
part = quopri.decodestring(part.split(b"\r\n--=_")[0])
check("as it was", part == "Subject: Grüße\r\n".encode(), part)

report = parse("full")
check("no defects with a message inside", not any(part.defects for part in report.walk()),
      [part.defects for part in report.walk()])
content = report.get_payload()[2]
check("the whole message", content.get_content_type() == "message/rfc822"
      and content["Content-Transfer-Encoding"] == "8bit" == report["Content-Transfer-Encoding"])
check("as it was, a boundary in it", content.get_payload()[0].get_payload(decode=True) ==
      "--=_7F3K9.1a1fb7b6350.0\r\n\r\ngrüße\r\n".encode(),
      content.get_payload()[0].get_payload(decode=True))
check("no final address", all(r["Final-Recipient"] == "rfc822; Old+Bob@far.test"
                              for r in fields(report)[1:]))
check("not even in words", "<bob@" not in report.get_payload()[0].get_content())

short = parse("shortened")
check("shortened: no defects", not any(part.defects for part in short.walk()),
      [part.defects for part in short.walk()])
check("7-bit", all(octet < 0x80 for octet in short.as_bytes()) and
      "Content-Transfer-Encoding" not in short)
check("the header is left", short.get_payload()[2].get_content_type() == "text/rfc822-headers"
      and short.get_payload()[2].get_payload() == "From: you@here.test\r\n",
      short.get_payload()[2].get_payload())
check("the rest is as it was", [p.as_bytes() for p in short.get_payload()[:2]] ==
      [p.as_bytes() for p in report.get_payload()[:2]] and
      [i for i in short.items()] ==
      [i for i in report.items() if i[0] != "Content-Transfer-Encoding"], short.items())

report = parse("beginning")
check("the beginning", report.get_payload()[2].get_content_type() == "message/rfc822" and
      report.get_payload()[2]["Content-Description"] == "The beginning of the message" and
      "The beginning of your message is attached." in report.get_payload()[0].get_content())

report = parse("copy")
sender = report["From"].addresses[0]
check("from whom the site says", sender.addr_spec == "mailer@demo.test"
      and sender.display_name == 'The "Post"??X-Evil: 1', report["From"])
check("no field of anybody else's", report["X-Evil"] is None, report.keys())
check("whose message", "The sender of the message is <>" in report.get_payload()[0].get_content())
check("known as a copy", report["X-Postmaster-Copy"] == "of 7F3K2", report.keys())

report = parse("history")
check("earlier attempts", "Earlier attempts to deliver it:\n\n  Sat, 21 Nov 2026 00:13:20 +0000\n"
      "    [192.0.2.1]: 451 4.2.0 later??X-Evil: 1\n  Sat, 21 Nov 2026 00:14:20 +0000\n"
      "    4.4.1 connection refused\n" in report.get_payload()[0].get_content().replace("\r", ""),
      report.get_payload()[0].get_content())

report = parse("returned")
check("returned", report["Subject"] == "Your message was returned", report["Subject"])
check("by whom", "The postmaster of this system has returned your message" in
      report.get_payload()[0].get_content(), report.get_payload()[0].get_content())
check("no copy", report["X-Postmaster-Copy"] is None)
print(f"1..{len(results)}")
raise SystemExit(0 if all(results) else 1)
