package readers_test

import (
	"os"
	"testing"
)

func TestCaddyPassesThrough(t *testing.T) {
	program := os.Getenv("CADDY_L4")
	if program == "" {
		t.Skip("SKIPPED: CADDY_L4 names no Caddy with the module layer4")
	}
	s, recipe, port := passedThrough(t, "Caddy")
	t.Setenv("XDG_DATA_HOME", s.dir)
	t.Setenv("XDG_CONFIG_HOME", s.dir)
	conf := s.save("Caddyfile", "{\n    admin off\n"+recipe[len("{\n"):])
	start(t, nil, program, "run", "--adapter", "caddyfile", "--config", conf)
	s.wantClientsThrough(port)
}
