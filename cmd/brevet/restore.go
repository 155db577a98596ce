package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server"
)

func restoreCommand() *cli.Command {
	return &cli.Command{
		Name:      "restore",
		Category:  aboutAuthority,
		Usage:     "put a backup in the place of the store",
		ArgsUsage: "[FILE]",
		Description: `Puts a backup in the place of the store in --dir, where brevet.yaml and the key
files must be already. The server must not be running. FILE is checked first, as by
brevet verify, with the same --key and --checkpoint; the store that was there is
kept beside it as brevet.db.before-restore. Before a second restore, move that file
away (mv brevet.db.before-restore /safe/), or remove it. Root may run this: the new
store belongs to the owner of --dir. FILE or the log may be - for standard input, which
is copied to $TMPDIR for the time of the restore.

A backup does not know what came after it, so a restore

  - ends all certificates, tokens and ACME accounts that were issued until now.
    With --keep-issued, those that the backup knows to be alive live on.
  - voids all unused enrollment tokens and ACME keys, since some may have been used.
  - refuses client assertions from before now, since some may have been used.
  - suspends, decommissions and revokes again what was suspended, decommissioned or
    revoked after the backup, and takes the scopes, audiences, names, quotas and registered
    keys away that were taken away. It reads the log of the store that was there for
    this, or an export in --log. If there is neither, brevet status reports a problem
    until you have ended again what must stay ended and say so with brevet restore
    --confirm.

Keys may have been rotated and key files destroyed after the backup. The restore takes
the keys and the certificates of CAs from the store that was there, if it can be read
and their key files are in --dir. It takes a key that the backup does not know only if
the log of that store names it before its last signed checkpoint, and names the keys that
it does not take. Otherwise the keys are those of the backup, except
that compromised ones sign nothing. If the file of an active key is gone, the restore
is refused: put the file back. If it was destroyed or lost for good, --new-keys makes
a new key in its place, and all credentials of the old one are dead. A new issuer needs
the key of the root in --dir, and the passphrase as for brevet serve.

It copies the segments of the audit log that are in the directory segments beside
FILE, unless they are in --dir, and names those that are in neither place.

It prints which agents and operators must enroll again, with the commands. All else
that happened after the backup is forgotten. Certificates that were issued after the
backup are on no record: the authority refuses them, no CRL can name them, and they end
when they expire. The restore prints when the last of them does.

Examples:
  $ systemctl stop brevet && brevet restore /backup/brevet-2026-01-31.db && systemctl start brevet
  $ brevet restore /backup/brevet-2026-01-31.db --log /safe/audit.jsonl`,
		Flags: append(evidenceFlags(),
			yes("keep-issued", "let live what the backup knows to be alive"),
			yes("new-keys", "make new keys in the place of active ones whose files are gone"),
			text("log", "`FILE` that brevet audit export wrote after the backup"),
			yes("confirm", "to the running server: what must stay ended is ended again"),
		),
		Action: restore,
	}
}

func restore(c *cli.Context) error {
	if c.Bool("confirm") {
		return confirmRestore(c)
	}
	if !c.Args().Present() {
		return misuse(c, "restore needs FILE")
	}
	dir, err := directory(c)
	if err != nil {
		return err
	}
	name := c.Args().First()
	file, e, remove, err := backupWithEvidence(c)
	if err != nil {
		return err
	}
	defer remove()
	log, removeLog, err := fileArgument{"--log", "what brevet audit export wrote"}.spooled(c, c.String("log"))
	if err != nil {
		return err
	}
	defer removeLog()
	r, err := server.Restore(c.Context, server.RestoreConfig{Dir: dir, File: file, Log: log, Evidence: e, KeepIssued: c.Bool("keep-issued"), NewKeys: c.Bool("new-keys"), AskPassphrase: asking(c, "Passphrase of the key files in "+shown(dir))}, time.Now())
	if err != nil {
		return err
	}
	doc := struct {
		Dir  string `json:"dir"`
		File string `json:"restored"`
		*server.Restored
	}{dir, name, r}
	return answer(c, doc, []string{r.Kept}, func(p *page) { printRestored(p, name, r) })
}

func printRestored(p *page, name string, r *server.Restored) {
	if name = shown(name); r.Kept == "" {
		p.line("Restored %s. There was no store before.", name)
	} else {
		p.line("Restored %s. The store that was there is now %s.", name, r.Kept)
	}
	printChecked(p, r.Checked)
	p.line("")
	if r.Cut {
		p.line("All that was issued until %s is ended.", at(r.At))
	}
	if r.Voided > 0 {
		p.line("Unused enrollment tokens and ACME keys of %s are void.", count(r.Voided, "agent"))
	}
	if !r.Unrecorded.IsZero() {
		p.line("What was issued after the backup is on no record: it is refused here, no CRL can name it,")
		p.line("and the last of it ends at %s.", at(r.Unrecorded))
	}
	printHistory(p, r)
	printKeys(p, r)
	for _, g := range r.Missing {
		p.line("The log lacks %s.", awayText(g))
	}
	printEnrollAgain(p, "agents", "brevet agent reenroll", r.Reenroll)
	printEnrollAgain(p, "operators", "brevet operator enroll", r.Operators)
}

func printEnrollAgain(p *page, who, command string, names []string) {
	if len(names) == 0 {
		return
	}
	p.line("")
	p.line("These %s have no live certificate and must enroll again:", who)
	for _, name := range names {
		p.line("  %s %s", command, name)
	}
}

// printHistory tells what is known of the time after the backup.
func printHistory(p *page, r *server.Restored) {
	for _, again := range r.Applied {
		p.line("Applied again: %s", printable(again))
	}
	if r.Unknown != "" {
		p.line("It is not known what was suspended, decommissioned or revoked after the backup (%s).", printable(r.Unknown))
		p.line("End again what must stay ended, then run brevet restore --confirm. Until then brevet status")
		p.line("reports a problem.")
	} else {
		p.line("What was ended after the backup, until %s, is ended again. Other changes are forgotten.", at(r.Known))
	}
	if len(r.LostRoots) > 0 {
		p.line("These roots were made after the backup and are lost: %s. Agents that trust no other root must enroll again.", strings.Join(r.LostRoots, ", "))
	}
	if r.Policies != 0 {
		p.line("Version %d of the policies was applied after the backup and is lost. No agent gets anything until you run brevet policy apply, or brevet policy remove.", r.Policies)
	}
	if len(r.Forgotten) > 0 {
		p.line("These agents and operators were registered after the backup and are unknown now: %s.", printable(strings.Join(r.Forgotten, ", ")))
	}
}

// printKeys tells which keys are not those of the backup.
func printKeys(p *page, r *server.Restored) {
	if len(r.KeysTaken) > 0 {
		p.line("Keys taken from the store that was there, of the purposes: %s.", strings.Join(r.KeysTaken, ", "))
	}
	for _, id := range r.Unproven {
		p.line("The key %s was not taken: nothing proves that it was made after the backup.", printable(id))
	}
	if r.Unsigned != "" {
		p.line("No key that the backup does not know could be proven: %s.", printable(r.Unsigned))
	}
	for _, id := range r.KeysLost {
		p.line("The file of the key %s is gone. It signs no more.", id)
	}
	for _, id := range r.KeysMade {
		p.line("The key %s is new.", id)
	}
}

func confirmRestore(c *cli.Context) error {
	if c.Args().Present() {
		return misuse(c, "--confirm goes to the running server and takes no FILE")
	}
	source, err := dial(c)
	if err != nil {
		return err
	}
	confirmed, err := source.ConfirmRestore(c.Context)
	if err != nil {
		return fmt.Errorf("confirming the restore: %w", err)
	}
	doc := struct {
		Confirmed bool   `json:"confirmed"`
		Note      string `json:"note,omitempty"`
	}{true, confirmed.Note}
	return answer(c, doc, nil, func(p *page) {
		if confirmed.Note != "" {
			p.line("%s.", confirmed.Note)
			return
		}
		p.line("Confirmed. brevet status no longer reports the restore.")
	})
}
