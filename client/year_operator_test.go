package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// acts are what an operator does about each reason, and nothing else. A reason without an act
// is a failure of the year.
var acts = map[string]func(*year, context.Context, api.Reason) error{
	"backup-old":            (*year).backup,
	"issuer-ends":           (*year).ceremony,
	"root-crl-ends":         (*year).ceremony,
	"root-crl-late":         (*year).ceremony,
	"root-crl-lacks-issuer": (*year).ceremony,
	"agent-key-old":         (*year).changeKey,
	"clock-back":            (*year).acceptClock,
	"clock-doubt":           func(*year, context.Context, api.Reason) error { return nil }, // it was compared with another
	"restore-unconfirmed":   (*year).confirmRestore,
	"disk-low":              (*year).makeRoom,
	"disk-full":             (*year).makeRoom,
	"reserve-low":           (*year).makeRoom,
}

// early are the reasons that come as a warning long before they are critical.
var early = []string{"issuer-ends", "root-ends", "root-crl-ends", "agent-key-old", "backup-old", "quota-near"}

// operate looks at the health. Warnings wait for eight in the morning; somebody is called for
// what is critical.
func (y *year) operate(ctx context.Context) {
	status, err := y.operator.Status(ctx)
	if err != nil {
		y.t.Errorf("%s: status: %v", y.now(), err)
		return
	}
	for _, r := range status.Reasons {
		if r.Level == api.Critical && slices.Contains(early, r.ID) {
			y.t.Errorf("%s: too late: %s", y.now(), r)
		}
		if r.Level == api.Warning && y.now().Hour() != 8 {
			continue
		}
		act := acts[r.ID]
		y.seen[r.ID]++
		if act == nil {
			y.t.Errorf("%s: nobody knows what to do: %s", y.now(), r)
			continue
		}
		if y.told[r.Text]++; y.told[r.Text] == 3 && r.ID != "clock-doubt" {
			y.t.Errorf("%s: told for the third time: %s", y.now(), r)
		}
		y.t.Logf("%s: %s", y.now().Format(time.DateTime), r)
		if err := act(y, ctx, r); err != nil {
			y.t.Errorf("%s: %s: %v", y.now(), r, err)
		}
	}
}

// A copied backup is in a safe, with the key files of its time.
type copied struct {
	dir string
	at  time.Time
}

const store = "brevet.db"

func (y *year) backup(ctx context.Context, _ api.Reason) error {
	c := copied{y.t.TempDir(), y.now()}
	file, err := os.Create(filepath.Join(c.dir, store))
	if err != nil {
		return err
	}
	if err := errors.Join(y.operator.Backup(ctx, file), file.Close()); err != nil {
		return err
	}
	y.backups = append(y.backups, c)
	return copyKeys(c.dir, y.dir)
}

// copyKeys copies the key files that are not there yet.
func copyKeys(to, from string) error {
	files, err := filepath.Glob(filepath.Join(from, "*.key"))
	for _, file := range files {
		there := filepath.Join(to, filepath.Base(file))
		if _, missing := os.Stat(there); missing == nil {
			continue
		}
		text, err := os.ReadFile(file)
		if err := errors.Join(err, os.WriteFile(there, text, 0o600)); err != nil {
			return err
		}
	}
	return err
}

// ceremony carries the request that the reason names to the machine with the root's key, and
// the response back.
func (y *year) ceremony(ctx context.Context, r api.Reason) error {
	file := filepath.Join(y.dir, "root-request.json")
	if !strings.Contains(r.Mend, filepath.Base(file)) {
		return fmt.Errorf("it does not name the file: %s", r.Mend)
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) && y.carried.Equal(y.now()) {
		return nil // the same file was for another reason
	} else if err != nil {
		return err
	}
	request, plan, err := server.ReadRootRequest(text, y.lists, y.now())
	if err != nil {
		return err
	}
	keys, err := filepath.Glob(filepath.Join(y.safe, "*.key"))
	if err != nil {
		return err
	}
	signed, _, err := server.SignRootRequest(request, plan, server.RootKeys{Files: keys, Passphrase: server.NoPassphrase})
	if err != nil {
		return err
	}
	y.carried = y.now()
	if _, err = y.operator.InstallKey(ctx, string(signed.Marshal())); err != nil {
		return err
	}
	time.Sleep(time.Minute) // the server removes the file
	y.carried = y.now()
	return nil
}

// changeKey has the agent that the reason names make another key. Those that it only counts it
// names when fewer are left.
func (y *year) changeKey(ctx context.Context, r api.Reason) error {
	if strings.Contains(r.Text, " more agents ") {
		return nil
	}
	_, rest, _ := strings.Cut(r.Text, "agent ")
	name, _, _ := strings.Cut(rest, " ")
	agent := y.agents[name]
	if agent == nil {
		return errors.New("it names no agent")
	}
	if err := agent.rekey(ctx); err != nil {
		return err
	}
	return y.register(ctx, name)
}

// register has the keys of an agent registered.
func (y *year) register(ctx context.Context, name string) error {
	keys := y.agents[name].keys()
	if keys == nil {
		return nil
	}
	_, err := y.operator.SetAgent(ctx, name, api.Change{Keys: keys})
	return err
}

func (y *year) confirmRestore(ctx context.Context, _ api.Reason) error {
	_, err := y.operator.ConfirmRestore(ctx)
	return err
}

// ballast is a file of another program on the disk of a site.
func (s *site) ballast() string { return filepath.Join(filepath.Dir(s.dir), "ballast") }

// makeRoom removes what another program left on the disk.
func (y *year) makeRoom(context.Context, api.Reason) error {
	err := os.Remove(y.ballast())
	if errors.Is(err, os.ErrNotExist) && y.cleared.Equal(y.now()) {
		return nil // the same room was for another reason
	}
	y.cleared = y.now()
	return err
}

// acceptClock starts the server once with --accept-clock, if the clock is right.
func (y *year) acceptClock(context.Context, api.Reason) error {
	if y.skew.Load() != 0 {
		return errors.New("the clock is wrong")
	}
	y.stop()
	y.start(func(c *server.Config) { c.AcceptClock = true })
	y.stop()
	y.start()
	return nil
}
