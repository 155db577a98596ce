package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/client"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// A destination is the authority that an operator's command is about: one in a directory of this
// machine, or one that answers over HTTPS at listen_admin.
type destination struct {
	Dir      string `json:"dir,omitempty"`
	Server   string `json:"server,omitempty"`
	Identity string `json:"identity,omitempty"` // directory of the operator's identity

	from string // for messages: how the destination was chosen
}

func (t destination) remote() bool { return t.Server != "" }

// destinationOf returns the destination that the command line chooses, or else the environment, or
// else the context in use, or else the default directory.
func destinationOf(c *cli.Context) (destination, error) {
	chosen := 0
	for _, is := range []bool{c.IsSet("server") || c.IsSet("identity"), c.IsSet("dir"), c.IsSet("context")} {
		if is {
			chosen++
		}
	}
	switch {
	case chosen > 1:
		return destination{}, misuse(c, "give --server and --identity, or --context, or --dir")
	case c.IsSet("server") != c.IsSet("identity"):
		return destination{}, misuse(c, "--server and --identity go together")
	case c.IsSet("server"):
		if err := client.CheckServer(c.String("server")); err != nil {
			return destination{}, misuse(c, "--server: %v", err)
		}
		return destination{Server: c.String("server"), Identity: c.String("identity"), from: "--server"}, nil
	case c.IsSet("dir"):
		return destination{Dir: c.String("dir"), from: "--dir"}, nil
	case c.IsSet("context"):
		return contextNamed(c.String("context"), "--context")
	}
	// An empty variable in a script must not mean the system's authority.
	for _, name := range []string{contextVariable, directoryVariable} {
		if value, is := os.LookupEnv(name); is && value == "" {
			return destination{}, misuse(c, "%s is empty: name the authority, or leave it out for the default", name)
		}
	}
	return usualDestination(os.Getenv)
}

// directoryVariable names the directory of the authority.
const directoryVariable = "BREVET_DIR"

// usualDestination returns the destination if the command line names none.
func usualDestination(getenv func(string) string) (destination, error) {
	if name := getenv(contextVariable); name != "" {
		return contextNamed(name, contextVariable)
	}
	if dir := getenv(directoryVariable); dir != "" {
		return destination{Dir: dir, from: directoryVariable}, nil
	}
	all, err := readContexts()
	if err != nil || all.Current != "" {
		return all.named(all.Current, "brevet context use", err)
	}
	dir, err := defaultDirectory(os.Getuid(), getenv)
	return destination{Dir: dir}, err
}

// directory returns where the authority is, for commands that work on its files.
func directory(c *cli.Context) (string, error) {
	t, err := destinationOf(c)
	if err == nil && t.remote() {
		err = fmt.Errorf("%s works on the files of an authority, on its machine, and %s names the server %s: name the directory with --dir", c.Command.HelpName, t.from, t.Server)
	}
	return t.Dir, err
}

// dial returns a client of the running server.
func dial(c *cli.Context) (*api.Client, error) {
	t, err := destinationOf(c)
	if err != nil {
		return nil, err
	}
	if c.Bool("verbose") {
		where := filepath.Join(t.Dir, api.SocketName)
		if t.remote() {
			where = t.Server + " as the identity in " + t.Identity
		}
		fmt.Fprintf(c.App.ErrWriter, "brevet: using %s\n", where)
	}
	return t.dial(c.Context, c.App.ErrWriter)
}

// dial returns a client of the destination. It renews the operator's certificate when that is due,
// and warns if that fails and the certificate is still good.
func (t destination) dial(ctx context.Context, warnings io.Writer) (*api.Client, error) {
	if !t.remote() {
		return api.Dial(t.Dir), nil
	}
	id, err := operatorIdentity(t.Identity)
	if err != nil {
		return nil, err
	}
	now, leaf := time.Now(), id.Certificate()
	if left := leaf.NotAfter.Sub(now); left < leaf.NotAfter.Sub(leaf.NotBefore)/3 {
		if err := id.Renew(ctx); err != nil && left <= 0 {
			return nil, err
		} else if err != nil {
			fmt.Fprintf(warnings, "brevet: warning: %s\n", oneLine(err.Error()))
		}
	}
	return api.DialHTTPS(t.Server, id.TLSConfig()), nil
}

// operatorIdentity returns the identity in a directory, which must be an operator's.
func operatorIdentity(dir string) (*client.Identity, error) {
	id, err := client.Load(dir)
	if err == nil && !id.IsOperator() {
		err = fmt.Errorf("%s has the identity of the agent %s: an operator gets one by brevet operator login", dir, id.Agent())
	}
	return id, err
}
