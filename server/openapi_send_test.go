package server_test

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// send sends the request of an exchange to a server.
func (x *exchange) send(t *testing.T, w *described, base string) (*http.Response, string) {
	t.Helper()
	path := x.path
	for name, value := range x.inPath {
		path = strings.Replace(path, "{"+name+"}", url.PathEscape(value), 1)
	}
	if strings.Contains(path, "{") {
		t.Fatalf("%s: a parameter has no example: %s", x, path)
	}
	if len(x.query) > 0 {
		path += "?" + x.query.Encode()
	}
	r, err := http.NewRequestWithContext(t.Context(), x.method, base+path, x.encoded(t))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = x.header.Clone()
	if x.body != nil {
		r.Header.Set("Content-Type", x.kind)
	}
	client := x.client
	if base == onSocket {
		client = w.socket
	} else if client == nil {
		client = w.Client()
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", x, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", x, err)
	}
	return resp, string(body)
}

// encoded returns the body in the form of its type.
func (x *exchange) encoded(t *testing.T) io.Reader {
	t.Helper()
	switch x.kind {
	case "application/json":
		if x.body != nil {
			return strings.NewReader(encodeJSON(t, x.body))
		}
	case "application/x-www-form-urlencoded":
		form := url.Values{}
		for name, v := range x.body.(map[string]any) {
			list, many := v.([]any)
			if !many {
				list = []any{v}
			}
			for _, v := range list {
				form.Add(name, fmt.Sprint(v))
			}
		}
		return strings.NewReader(form.Encode())
	case "":
	default:
		return strings.NewReader(x.body.(string))
	}
	return nil
}

// check sends an exchange and compares the answer and its example with the document.
func (d *description) check(w *described, x *exchange, base string) {
	d.t.Helper()
	resp, body := x.send(d.t, w, base)
	if resp.StatusCode != x.status {
		d.t.Errorf("%s: got %d %s, want %d", x, resp.StatusCode, body, x.status)
		return
	}
	if x.answer == nil {
		if body != "" {
			d.t.Errorf("%s: got the body %q, and the document has none", x, body)
		}
		return
	}
	want := x.answer[len(x.answer)-1]
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != want {
		d.t.Errorf("%s: got the type %q, want %s", x, resp.Header.Get("Content-Type"), want)
	}
	for name, h := range d.object(d.doc, append(slices.Clone(x.answer[:5]), "headers")...) {
		if d.object(h)["required"] == true && resp.Header.Get(name) == "" {
			d.t.Errorf("%s: the answer has no %s", x, name)
		}
	}
	schema := pointer(append(x.answer, "schema")...)
	switch line := d.object(d.doc, append(x.answer, "schema")...)["x-line"]; {
	case line != nil:
		of := pointer(append(x.answer, "schema", "x-line")...)
		for _, text := range []string{body, x.expected.(string)} {
			for each := range strings.Lines(text) {
				d.valid(x.String(), of, decodeJSON(d.t, each))
			}
		}
	case strings.HasSuffix(want, "json"):
		d.valid(x.String(), schema, decodeJSON(d.t, body))
		d.valid(x.String()+": the example", schema, x.expected)
	default:
		d.valid(x.String(), schema, body)
		d.valid(x.String()+": the example", schema, x.expected)
	}
	d.alike(x, body)
}

// alike compares the members of an answer that tell programs what a refusal is.
func (d *description) alike(x *exchange, body string) {
	d.t.Helper()
	if x.status < 400 || !strings.HasSuffix(x.answer[len(x.answer)-1], "json") {
		return
	}
	got, want := decodeJSON(d.t, body).(map[string]any), x.expected.(map[string]any)
	for name, v := range want {
		if name != "detail" && name != "error_description" && fmt.Sprint(got[name]) != fmt.Sprint(v) {
			d.t.Errorf("%s: %s is %q, and in the example %q", x, name, got[name], v)
		}
	}
}

// onSocket stands for the operators' socket in URLs.
const onSocket = "http://brevet"

// bases returns the URLs of the servers that answer a path.
func (w *described) bases(d *description, path string) (all []string) {
	d.t.Helper()
	servers, _ := d.object(d.doc, "paths", path)["servers"].([]any)
	if servers == nil {
		servers = d.doc["servers"].([]any)
	}
	for _, s := range servers {
		switch url := d.object(s)["url"]; {
		case url == "/":
			all = append(all, w.URL)
		case url == onSocket:
			all = append(all, onSocket)
		case path == "/metrics":
			all = append(all, "http://"+w.metrics)
		default:
			all = append(all, w.HTTP)
		}
	}
	return all
}

// overSocket returns a client of the operators' socket.
func overSocket(t *testing.T, w *servertest.World) *http.Client {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", w.File(api.SocketName))
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}
