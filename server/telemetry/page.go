package telemetry

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Page is metrics in the text format of Prometheus, version 0.0.4: each family with its
// help and its type, as promtool check metrics wants them.
type Page struct{ b bytes.Buffer }

// A Sample is a value and its labels: name and value, in turn.
type Sample struct {
	Labels []string
	Value  float64
}

// Value returns the sample of a value with labels.
func Value(value float64, labels ...string) Sample { return Sample{labels, value} }

// At returns a sample that is a time, in seconds since the Unix epoch.
func At(t time.Time, labels ...string) Sample {
	return Sample{labels, float64(t.UnixMilli()) / 1000}
}

// Counter writes a family of counters. Its name ends with _total.
func (p *Page) Counter(name, help string, samples ...Sample) {
	p.family(name, "counter", help, samples)
}

// Gauge writes a family of gauges.
func (p *Page) Gauge(name, help string, samples ...Sample) { p.family(name, "gauge", help, samples) }

// Summary writes how often something happened and how long that took in all.
func (p *Page) Summary(name, help string, count uint64, sum time.Duration) {
	p.head(name, "summary", help)
	p.sample(name+"_sum", nil, sum.Seconds())
	p.sample(name+"_count", nil, float64(count))
}

func (p *Page) family(name, kind, help string, samples []Sample) {
	if len(samples) == 0 {
		return
	}
	p.head(name, kind, help)
	for _, s := range samples {
		p.sample(name, s.Labels, s.Value)
	}
}

func (p *Page) head(name, kind, help string) {
	fmt.Fprintf(&p.b, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", name, help, kind)
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (p *Page) sample(name string, labels []string, value float64) {
	p.b.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		p.b.WriteByte("{,"[min(i, 1)])
		p.b.WriteString(labels[i] + `="` + labelEscapes.Replace(labels[i+1]) + `"`)
	}
	if len(labels) > 0 {
		p.b.WriteByte('}')
	}
	p.b.WriteString(" " + text(value) + "\n")
}

func text(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
