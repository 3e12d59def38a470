package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/tutti-run/tutti/internal/api"
	"github.com/tutti-run/tutti/internal/orchestration/webhook"
)

// checkWebhooks also puts each secret in the place of what names it.
func (c *Config) checkWebhooks(bad *faults, environ map[string]string) {
	where := "TUTTI_WEBHOOK_SECRETS"
	if c.WebhookSecretsFile != "" {
		if c.WebhookSecrets != "" {
			bad.add(c.from("TUTTI_WEBHOOK_SECRETS_FILE"), "TUTTI_WEBHOOK_SECRETS is set too; want one of them")
		}
		where = c.from("TUTTI_WEBHOOK_SECRETS_FILE")
		c.WebhookSecrets = keyFromFile(bad, where, c.WebhookSecretsFile)
	}
	if c.WebhookSecrets != "" && len(c.Tenants) > 0 {
		bad.add(where, "there are tenants: each has webhook_secrets of its own in the file")
	}
	for _, s := range listed(string(c.WebhookSecrets)) {
		checkWebhookSecret(bad, where, secret(s))
	}
	for _, name := range sorted(c.Tenants) {
		secrets := c.Tenants[name].WebhookSecrets
		for i, s := range secrets {
			where := c.file.where("tenants", name, "webhook_secrets", fmt.Sprint(i))
			if secrets[i] = webhookSecret(bad, where, s, environ); secrets[i] != "" {
				checkWebhookSecret(bad, where, secrets[i])
			}
		}
	}
	if _, err := c.webhookAllow(); err != nil {
		bad.add(c.from("TUTTI_WEBHOOK_ALLOW"), "want networks such as 10.0.0.0/8, with commas between them")
	}
}

// webhookSecret returns the secret that the file names, or has.
func webhookSecret(bad *faults, where string, s secret, environ map[string]string) secret {
	kind, name, _ := strings.Cut(string(s), ":")
	switch kind {
	case "env":
		if environ[name] == "" {
			bad.add(where, "the environment variable %s is not set", name)
		}
		return secret(environ[name])
	case "file":
		return keyFromFile(bad, where, name)
	}
	return s
}

func checkWebhookSecret(bad *faults, where string, s secret) {
	if err := webhook.CheckSecret(string(s)); err != nil {
		bad.add(where, "%w; make one by: echo whsec_$(openssl rand -base64 32)", err)
	}
}

// listed returns what stands in a list with commas, blanks or lines between.
func listed(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// webhookSecrets are those that messages are signed with, by tenant.
func (c *Config) webhookSecrets() map[string][]string {
	secrets := make(map[string][]string)
	if own := listed(string(c.WebhookSecrets)); len(own) > 0 {
		secrets[api.DefaultTenant] = own
	}
	for name, t := range c.Tenants {
		for _, s := range t.WebhookSecrets {
			secrets[name] = append(secrets[name], string(s))
		}
	}
	return secrets
}

// webhookTenants are those who have a secret.
func (c *Config) webhookTenants() map[string]bool {
	tenants := make(map[string]bool)
	for name := range c.webhookSecrets() {
		tenants[name] = true
	}
	return tenants
}

// webhookAllow are the networks that webhooks may be in, beside the public ones.
func (c *Config) webhookAllow() ([]netip.Prefix, error) {
	var allow []netip.Prefix
	for _, text := range listed(c.WebhookAllow) {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		allow = append(allow, p.Masked())
	}
	return allow, nil
}

// webhookLoopback reports whether webhooks may be on this machine.
func (c *Config) webhookLoopback() bool {
	allow, _ := c.webhookAllow() // it was checked
	return slices.ContainsFunc(allow, func(p netip.Prefix) bool {
		return p.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || p.Contains(netip.IPv6Loopback())
	})
}
