package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/storage/durable"
)

// contextVariable names the context of one shell.
const contextVariable = "BREVET_CONTEXT"

// contexts is the content of contexts.json in the user's configuration: authorities by the
// names that the user gave them. It holds no secret, but whoever writes to it chooses where
// commands go.
type contexts struct {
	Current  string                 `json:"current,omitempty"` // of brevet context use
	Contexts map[string]destination `json:"contexts"`
}

// contextsFile returns where contexts.json is.
func contextsFile(getenv func(string) string) (string, error) {
	if config := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(config) { // others are to be ignored, says the XDG specification
		return filepath.Join(config, "brevet", "contexts.json"), nil
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", "brevet", "contexts.json"), nil
	}
	return "", fs.ErrNotExist
}

// readContexts reads contexts.json. There are no contexts if the file is not there.
func readContexts() (contexts, error) {
	all := contexts{Contexts: map[string]destination{}}
	file, err := contextsFile(os.Getenv)
	if err != nil {
		return all, nil
	}
	text, err := durable.ReadFile(file, maxInput)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return all, nil
	case err != nil:
		return all, err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return all, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

// save writes contexts.json, which only its user may read.
func (all contexts) save() error {
	file, err := contextsFile(os.Getenv)
	if err != nil {
		return errors.New("neither XDG_CONFIG_HOME nor HOME is set: there is no place for contexts")
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.MakeDir(filepath.Dir(file)); err != nil {
		return err
	}
	return durable.WriteFile(file, append(text, '\n'))
}

func (all contexts) names() []string { return slices.Sorted(maps.Keys(all.Contexts)) }

// named returns a context. err is that of reading them.
func (all contexts) named(name, from string, err error) (destination, error) {
	t, ok := all.Contexts[name]
	if err == nil && !ok {
		err = fmt.Errorf("there is no context %.80q, which %s names: see brevet context list", name, from)
	}
	t.from = from + " " + name
	return t, err
}

func contextNamed(name, from string) (destination, error) {
	all, err := readContexts()
	return all.named(name, from, err)
}

// contextName accepts the name of a context.
func contextName(s string) error {
	if s == "" || len(s) > 63 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" || strings.ContainsAny(s[:1], "-._") {
		return fmt.Errorf("invalid context %.80q: want 1 to 63 of a-z, 0-9 and, after the first character, - . _", s)
	}
	return nil
}
