package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/brevet-ca/brevet/agents/policy"
)

// call sends a request to a handler inside the process, and returns status and body.
func call(ctx context.Context, h http.HandlerFunc, body string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, "POST", "http://brevet/x?y=1", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := inside{h, policy.Local("test")}.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// TestInside: a handler gets the request and the principal, and the client what it answers.
func TestInside(t *testing.T) {
	for what, c := range map[string]struct {
		handler http.HandlerFunc
		status  int
		body    string
		err     error
	}{
		"echo": {func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			w.WriteHeader(201)
			fmt.Fprint(w, r.URL.Query().Get("y"), " ", r.RequestURI, " ", string(text), " ", principal(r).Actor)
		}, 201, "1 /x?y=1 hello test", nil},
		"nothing": {func(http.ResponseWriter, *http.Request) {}, 200, "", nil},
		"panic":   {func(http.ResponseWriter, *http.Request) { panic("x") }, 500, "", errPanicked},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		}, 200, "half", errPanicked},
	} {
		status, body, err := call(t.Context(), c.handler, "hello")
		if status != c.status || body != c.body || !errors.Is(err, c.err) {
			t.Errorf("%s: got %d %q %v", what, status, body, err)
		}
	}
}

// TestInsideAnswersWithoutAProblem: an answer of a handler that failed is explained by its status.
func TestInsideAnswersWithoutAProblem(t *testing.T) {
	failing := func(http.ResponseWriter, *http.Request) { panic("x") }
	if _, err := Inside(http.HandlerFunc(failing), policy.Anonymous).Status(t.Context()); err == nil || err.Error() != "the server answered 500 Internal Server Error" {
		t.Errorf("got %v", err)
	}
}

// TestInsideEnds: an answer without an end is read as it comes, and ends with the reader's
// context, or when the reader closes it. The handler ends, too.
func TestInsideEnds(t *testing.T) {
	for _, closing := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ended := false
			tail := func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintln(w, "one")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				ended = true
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			r, _ := http.NewRequestWithContext(ctx, "GET", "http://brevet/tail", nil)
			resp, err := inside{http.HandlerFunc(tail), policy.Anonymous}.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(resp.Body)
			if line, err := lines.ReadString('\n'); line != "one\n" || err != nil {
				t.Errorf("got %q, %v", line, err)
			}
			if closing {
				resp.Body.Close()
			} else {
				stop()
				if _, err := lines.ReadString('\n'); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			}
			synctest.Wait()
			if !ended {
				t.Error("the handler goes on")
			}
		})
	}
}

// TestInsideWaitsNoLonger than its context for an answer to begin.
func TestInsideWaitsNoLonger(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	ends := make(chan struct{})
	defer close(ends)
	hang := func(http.ResponseWriter, *http.Request) { <-ends }
	if _, _, err := call(ctx, hang, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := Inside(http.HandlerFunc(hang), policy.Anonymous).Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
