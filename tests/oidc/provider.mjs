// oidc-provider (certified OpenID Connect server, not written here) at the addresses of Microsoft's sign-in server:
// {origin}/{tenant}/oauth2/v2.0/{authorize,token,devicecode}. One public native client; code with PKCE, device code,
// refresh tokens that rotate, revocation. Access tokens are made known to the Graph emulator as they are issued.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { Provider, interactionPolicy } from 'oidc-provider';

export const CLIENT = '5c1b2a60-0000-4000-8000-00000000c1e7';
export const TENANT = 'contoso.example';
const TENANT_ID = '3f6c1c56-7f0e-4f53-9a4f-1a52c0d4b8aa';
const SCOPES = ['openid', 'offline_access', 'profile', 'User.Read', 'Calendars.ReadWrite', 'MailboxSettings.Read'];

// users: [{ id, address }] as the emulator names them. lifetimeS: of access tokens. accept(token, address, lifetimeS):
// makes a token known to Graph.
export async function start({ users, lifetimeS, accept }) {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${server.address().port}`;

  const policy = interactionPolicy.base();
  policy.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0);
  const at = (name) => `/${TENANT}/oauth2/v2.0/${name}`;
  const addressOf = (login) => users.find((user) => user.address === login.toLowerCase());
  const settings = { lifetimeS };

  const provider = new Provider(origin, {
    clients: [
      {
        client_id: CLIENT,
        client_name: 'calmirror',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
        response_types: ['code'],
        redirect_uris: ['http://localhost'],
      },
    ],
    scopes: SCOPES,
    claims: { openid: ['sub', 'tid', 'oid'], profile: ['name', 'preferred_username'] },
    conformIdTokenClaims: false,
    cookies: { keys: ['a test'] },
    interactions: { policy },
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
    },
    pkce: { required: () => true },
    // OpenID Connect grants offline_access only with prompt=consent; Microsoft's server does without.
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    rotateRefreshToken: () => true,
    ttl: {
      AccessToken: () => settings.lifetimeS,
      IdToken: 600,
      RefreshToken: 86_400,
      DeviceCode: 600,
      AuthorizationCode: 60,
      Grant: 86_400,
      Interaction: 600,
      Session: 86_400,
    },
    routes: {
      authorization: at('authorize'),
      token: at('token'),
      device_authorization: at('devicecode'),
      revocation: at('revoke'),
      code_verification: '/devicelogin',
    },
    async findAccount(_, login) {
      const user = addressOf(login);
      return user && {
        accountId: login,
        claims: async () => ({ sub: login, tid: TENANT_ID, oid: user.id, preferred_username: user.address }),
      };
    },
  });

  // Every token request and its reply, for the test to count and to replay.
  const exchanges = [];
  provider.on('grant.error', (ctx, error) => {
    exchanges.push({ grant: ctx.oidc.params?.grant_type, error: error.error });
  });
  provider.on('authorization.error', (ctx, error) => exchanges.push({ grant: 'authorize', error: error.message }));
  provider.on('server_error', (ctx, error) => console.error(error));
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.path !== at('token') || !ctx.body?.access_token) return;
    const { access_token, refresh_token, scope } = ctx.body;
    exchanges.push({ grant: ctx.oidc.params.grant_type, refresh: refresh_token, scope });
    const login = ctx.oidc.entities.AccessToken?.accountId ?? ctx.oidc.entities.Account.accountId;
    await accept(access_token, addressOf(login).address, settings.lifetimeS);
  });

  const answer = provider.callback();
  server.on('request', async (request, response) => {
    try {
      // The document stands in the tenant's folder there.
      if (request.url === `/${TENANT}/v2.0/.well-known/openid-configuration`) {
        request.url = '/.well-known/openid-configuration';
      }
      // One account is to be chosen from: the page that chooses is left out.
      if (request.method === 'GET' && /^\/interaction\/[\w-]+$/.test(request.url)) {
        const details = await provider.interactionDetails(request, response).catch(() => null);
        if (details?.prompt.name === 'select_account') {
          await provider.interactionFinished(request, response, { select_account: {} }, { mergeWithLastSubmission: true });
          return;
        }
      }
    } catch (error) {
      console.error(error);
      response.writeHead(500).end();
      return;
    }
    answer(request, response);
  });

  return {
    origin,
    token: `${origin}${at('token')}`,
    revoke: `${origin}${at('revoke')}`,
    exchanges,
    settings,
    stop: () => { server.close(); server.closeAllConnections(); },
  };
}
