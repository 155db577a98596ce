package readers_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

func TestNginx(t *testing.T) {
	nginx := peer.Find(t, "nginx")
	s := newSite(t)
	port := s.freePort()
	conf := s.save("nginx.conf", fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
%[2]s}
`, s.dir, strings.Replace(s.recipe("nginx", 0, port), "listen ", "listen 127.0.0.1:", 1)))
	d := start(t, nil, nginx, "-e", "stderr", "-c", conf)
	s.judge(s.greet(port), func() { d.signal(syscall.SIGHUP) })
}

// haproxy starts HAProxy with the recipe.
func (s *site) haproxy(program, port string) *daemon {
	if err := os.Symlink("key.pem", filepath.Join(s.dir, "cert.pem.key")); err != nil {
		s.t.Fatal(err)
	}
	conf := s.save("haproxy.cfg", fmt.Sprintf("global\n    stats socket %s/socket mode 600 level admin\n", s.dir)+strings.Replace(s.recipe("HAProxy", 0, port), "bind :", "bind 127.0.0.1:", 1))
	return start(s.t, nil, program, "-W", "-db", "-f", conf)
}

func TestHAProxy(t *testing.T) {
	program := peer.Find(t, "haproxy")
	s := newSite(t)
	port := s.freePort()
	d := s.haproxy(program, port)
	s.judge(s.greet(port), func() { d.signal(syscall.SIGUSR2) })
}

// TestHAProxyAtRunTime gives HAProxy the new lists over its socket.
func TestHAProxyAtRunTime(t *testing.T) {
	program := peer.Find(t, "haproxy")
	s := newSite(t)
	port := s.freePort()
	s.haproxy(program, port)
	say := func(text string) {
		t.Helper()
		c, err := net.Dial("unix", filepath.Join(s.dir, "socket"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, text)
		for answer := bufio.NewScanner(c); answer.Scan(); {
			t.Log(answer.Text())
		}
	}
	s.judge(s.greet(port), func() {
		file := filepath.Join(s.dir, "crl.pem")
		lists, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		say(fmt.Sprintf("set ssl crl-file %s <<\n%s\n", file, lists))
		say("commit ssl crl-file " + file + "\n")
	})
}

// apache starts Apache with more modules and a configuration.
func (s *site) apache(program, conf string, modules ...string) *daemon {
	s.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "ServerRoot %[1]s\nPidFile %[1]s/pid\nDefaultRuntimeDir %[1]s\nErrorLog /dev/stderr\nServerName localhost\nStartServers 1\nThreadsPerChild 8\nMaxRequestWorkers 16\nDocumentRoot %[1]s/html\n", s.dir)
	if os.Geteuid() == 0 {
		b.WriteString("User nobody\nGroup nogroup\n")
	}
	for _, m := range append(modules, "mpm_event", "authz_core", "ssl", "socache_shmcb") {
		fmt.Fprintf(&b, "LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", m)
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "html"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "html", "index.html"), []byte("hello"), 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.open()
	return start(s.t, nil, program, "-DFOREGROUND", "-f", s.save("apache.conf", b.String()+conf))
}

func TestApache(t *testing.T) {
	program := peer.Find(t, "apache2")
	s := newSite(t)
	port := s.freePort()
	d := s.apache(program, "Listen 127.0.0.1:"+port+"\nLoadModule dir_module /usr/lib/apache2/modules/mod_dir.so\n"+s.recipe("Apache", 0, port))
	s.judge(s.greet(port), func() { d.signal(syscall.SIGUSR1) })
}

func TestNode(t *testing.T) {
	node := peer.Find(t, "node")
	s := newSite(t)
	port := s.freePort()
	d := start(t, nil, node, s.save("server.mjs", strings.Replace(s.recipe("Node.js", 0, port), "socket.end('hello')", `socket.end('HTTP/1.0 200 OK\r\n\r\nhello')`, 1)))
	s.judge(s.greet(port), func() { d.signal(syscall.SIGHUP) })
}

func TestPostgreSQL(t *testing.T) {
	postgres, initdb, psql := peer.Find(t, "postgres"), peer.Find(t, "initdb"), peer.Find(t, "psql")
	s := newSite(t)
	port := s.freePort()
	data := filepath.Join(s.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	files := []string{data}
	for _, name := range []string{"cert.pem", "key.pem", "roots.pem", "crl.pem"} {
		files = append(files, filepath.Join(s.dir, name))
	}
	as := ordinary(t, files...)
	s.open()
	runAs(t, as, initdb, "--pgdata", data, "--no-sync", "--username", "good", "--auth", "trust", "--no-instructions", "--locale", "C")
	for name, text := range map[string]string{
		"postgresql.conf": "port = " + port + "\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n" + s.recipe("PostgreSQL", 0, port),
		"pg_hba.conf":     s.recipe("PostgreSQL", 1, port),
	} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := start(t, as, postgres, "-D", data)
	ask := func(a *servertest.Agent, query string) error {
		as := a.Name + "-"
		connection := strings.NewReplacer("host=web", "hostaddr=127.0.0.1 port="+port+" host=web", "user=web", "user="+a.Name, "/cert.pem", "/"+as+"cert.pem", "/key.pem", "/"+as+"key.pem").
			Replace(strings.Split(s.recipe("PostgreSQL", 2, port), `"`)[1])
		return run(t, psql, "--no-psqlrc", "--quiet", "--command", query, connection)
	}
	s.soon("the first connection", func() error { return ask(s.good, "create role bad login") })
	s.judge(func(a *servertest.Agent) error { return ask(a, "select 1") }, func() { d.signal(syscall.SIGHUP) })
}
