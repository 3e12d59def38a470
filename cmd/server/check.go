package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"regexp"
	"slices"
	"strings"
)

// faults collects everything that is wrong with the settings, so that the
// operator mends it in one go.
type faults struct{ list []error }

func (f *faults) add(where, format string, args ...any) {
	f.list = append(f.list, fmt.Errorf("%s: %w", where, fmt.Errorf(format, args...)))
}

var (
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	effortForm = regexp.MustCompile(`^[a-z]{0,20}$`)
)

// check judges the settings, and fills in what follows from others.
func (c *Config) check(environ map[string]string) error {
	var bad faults
	c.checkServing(&bad)
	c.checkProviders(&bad, environ)
	c.checkModels(&bad)
	c.checkTools(&bad, environ)
	c.checkWorkers(&bad)
	c.checkTenants(&bad)
	c.checkWebhooks(&bad, environ)
	return errors.Join(bad.list...)
}

// from names the place that set the setting of that variable.
func (c *Config) from(variable string) string {
	if source := c.sources[variable]; source != "" {
		return source
	}
	return variable
}

func (c *Config) checkServing(bad *faults) {
	if c.MetricsAddr == "" {
		c.MetricsAddr = c.Addr
	} else {
		checkAddress(bad, c.from("TUTTI_METRICS_ADDR"), c.MetricsAddr)
	}
	if checkAddress(bad, c.from("TUTTI_ADDR"), c.Addr) && !loopback(c.Addr) && len(c.Tenants) == 0 && !c.Anonymous {
		bad.add(c.from("TUTTI_ADDR"), "%s can be reached from other machines, and nobody would need an API key. "+
			"Give tenants keys in the file that TUTTI_CONFIG names, or set TUTTI_ALLOW_ANONYMOUS=true, or serve on 127.0.0.1", c.Addr)
	}
	switch scheme, rest, _ := strings.Cut(c.Journal, ":"); {
	case scheme == "mem" && rest == "", scheme == "sqlite" && rest != "":
	case scheme == "postgres", scheme == "postgresql":
		bad.add(c.from("TUTTI_JOURNAL"), "postgres is not supported yet; want sqlite:FILE or mem:")
	default: // what it holds may be a password
		bad.add(c.from("TUTTI_JOURNAL"), "want sqlite:FILE or mem:")
	}
	switch c.Engine {
	case "local":
	case "temporal":
		bad.add(c.from("TUTTI_ENGINE"), "temporal is not supported yet; want local")
	default:
		bad.add(c.from("TUTTI_ENGINE"), "%.100q is no engine; want local", c.Engine)
	}
	if c.MaxConcurrency < 1 || c.MaxConcurrency > 100_000 {
		bad.add(c.from("TUTTI_MAX_CONCURRENCY"), "%d is not between 1 and 100000", c.MaxConcurrency)
	}
	if c.MaxRuns < 1 || c.MaxRuns > 1_000_000 {
		bad.add(c.from("TUTTI_MAX_RUNS"), "%d is not between 1 and 1000000", c.MaxRuns)
	}
	if c.MaxQueuedRuns < 0 || c.MaxQueuedRuns > 10_000_000 {
		bad.add(c.from("TUTTI_MAX_QUEUED_RUNS"), "%d is not between 0 and 10000000", c.MaxQueuedRuns)
	}
	if c.ShutdownGrace < 0 {
		bad.add(c.from("TUTTI_SHUTDOWN_GRACE"), "%s is negative", c.ShutdownGrace)
	}
	if c.Retention < 0 {
		bad.add(c.from("TUTTI_RETENTION"), "%s is negative", c.Retention)
	}
	if c.CacheBytes < 0 {
		bad.add(c.from("TUTTI_CACHE_BYTES"), "%d is negative", c.CacheBytes)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		bad.add(c.from("TUTTI_LOG_LEVEL"), "%.100q is no level; want debug, info, warn or error", c.LogLevel)
	}
}

func checkAddress(bad *faults, where, addr string) (ok bool) {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port) //nolint:noctx // of numbers and well-known names only
	}
	if err != nil {
		bad.add(where, "%.100q is no address; want HOST:PORT, such as 127.0.0.1:8080", addr)
	}
	return err == nil
}

// loopback reports whether only this machine can reach an address.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *Config) checkTenants(bad *faults) {
	owner := map[string]string{}
	for _, name := range sorted(c.Tenants) {
		t := c.Tenants[name]
		if !nameForm.MatchString(name) {
			bad.add(c.file.where("tenants", name), "a tenant's name is made of letters, digits, _ and -, at most 64")
		}
		if len(t.Keys) == 0 {
			bad.add(c.file.where("tenants", name), "it has no keys")
		}
		if !amount(t.Limits.CostUSDPerDay) {
			bad.add(c.file.where("tenants", name, "limits", "cost_usd_per_day"), "it is no amount: 0 or more")
		}
		if t.Limits.MaxRuns < 0 {
			bad.add(c.file.where("tenants", name, "limits", "max_runs"), "it is negative")
		}
		for i, key := range t.Keys {
			where := c.file.where("tenants", name, "keys", fmt.Sprint(i))
			key = strings.ToLower(key)
			switch sum, err := hex.DecodeString(key); {
			case err != nil || len(sum) != 32: // which may be a key itself
				bad.add(where, "want the SHA-256 of a key, in hexadecimal: printf %%s KEY | sha256sum")
			case owner[key] != "":
				bad.add(where, "tenant %s has the same key", owner[key])
			default:
				owner[key] = name
			}
		}
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// amount reports whether it is an amount of money: YAML also has .nan and .inf.
func amount(usd float64) bool { return usd >= 0 && !math.IsInf(usd, 1) }
