package storm_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// raidVariable tells a process of its own to be a raid.
const raidVariable = "SERVER_TEST_RAID"

// A raid is a stranger at one address and a registered agent at another who send
// requests as fast as they can.
type raid struct {
	URL     string
	Cert    [][]byte // the agent's, with its chain
	Key     []byte   // PKCS #8
	CSR     string
	About   string // the name of an agent that strangers lie about
	Hostile bool   // otherwise all that it sends is harmless
	For     time.Duration
}

// hostile and harmless are what the two send, one after the other.
func (r raid) requests() (stranger, agent []*http.Request) {
	form := func(path string, pairs ...string) *http.Request {
		f := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			f.Set(pairs[i], pairs[i+1])
		}
		return r.request(path, "application/x-www-form-urlencoded", f.Encode())
	}
	if !r.Hostile {
		get, _ := http.NewRequest("GET", r.URL+"/healthz", nil)
		return []*http.Request{get}, []*http.Request{get}
	}
	lie := "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJib3QifQ." + strings.Repeat("A", 86)
	bearer := form("/oauth/introspect", "token", "x.y.z")
	bearer.Header.Set("Authorization", "Bearer x.y.z")
	stranger = []*http.Request{
		form("/oauth/token", "grant_type", "client_credentials", "client_id", r.About, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", lie),
		r.request("/v1/enroll", "application/json", `{"token":"brevet_enroll_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","csr":"x"}`),
		r.request("/acme/new-account", "application/jose+json", `{"protected":"e30","payload":"e30","signature":"AA"}`),
		bearer,
	}
	renewal, _ := json.Marshal(map[string]string{"csr": r.CSR})
	agent = []*http.Request{ // all of which it may ask for, so that nothing but quotas stops it
		form("/oauth/token", "grant_type", "client_credentials"),
		r.request("/v1/certificates", "application/json", string(renewal)),
		form("/oauth/revoke", "token", lie),
	}
	return stranger, agent
}

func (r raid) request(path, kind, body string) *http.Request {
	q, err := http.NewRequest("POST", r.URL+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	q.Header.Set("Content-Type", kind)
	return q
}

// run sends until the time is over, and returns the number of answers by their status.
func (r raid) run() map[int]int {
	ctx, cancel := context.WithTimeout(context.Background(), r.For)
	defer cancel()
	client := func(from byte, certs ...tls.Certificate) *http.Client {
		d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}
		return &http.Client{Transport: &http.Transport{
			DialContext: d.DialContext, MaxIdleConnsPerHost: raiders, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certs},
		}}
	}
	cert := tls.Certificate{Certificate: r.Cert, PrivateKey: parseKey(r.Key)}
	stranger, agent := r.requests()
	statuses := map[int]int{}
	var mu sync.Mutex
	var wait sync.WaitGroup
	for _, side := range []struct {
		http *http.Client
		send []*http.Request
	}{{client(66), stranger}, {client(67, cert), agent}} {
		for i := range raiders {
			wait.Go(func() {
				for n := i; ctx.Err() == nil; n++ {
					q := side.send[n%len(side.send)].Clone(ctx)
					if q.GetBody != nil {
						q.Body, _ = q.GetBody()
					}
					got, err := side.http.Do(q)
					if err != nil {
						continue
					}
					io.Copy(io.Discard, got.Body)
					got.Body.Close()
					mu.Lock()
					statuses[got.StatusCode]++
					mu.Unlock()
				}
			})
		}
	}
	wait.Wait()
	return statuses
}

// raiders is how many connections each of the two has.
const raiders = 16

// elsewhere runs the raid in a process of its own, which gets what time the
// processor has left (SCHED_IDLE).
func (r raid) elsewhere() (statuses map[int]int, err error) {
	plan, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("chrt", "--idle", "0", os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), raidVariable+"="+string(plan)), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the raid: %w", err)
	}
	return statuses, json.Unmarshal(out, &statuses)
}

// raidIfTold is the process of elsewhere.
func raidIfTold() {
	plan := os.Getenv(raidVariable)
	if plan == "" {
		return
	}
	var r raid
	if err := json.Unmarshal([]byte(plan), &r); err != nil {
		panic(err)
	}
	out, _ := json.Marshal(r.run())
	fmt.Println(string(out))
	os.Exit(0)
}
