// Makes skapi-js find this server: <script src="https://your.server/point_skapi.js"></script> before "new Skapi(...)".
//
// skapi-js asks an address at cloudfront.net where its service is, and Amazon Cognito when people log in. Those requests,
// and no others, are sent here instead. Works with a bundler as well, as long as it is loaded first.
(() => {
  'use strict';
  const server = '{{server}}'; // filled in by the server with the address under which it was asked for this file
  const discovery = /^https:\/\/[^/?#]+\.cloudfront\.net\/([\w-]+)\/((?:admin|record)-v\d+\.json)$/;
  const cognito = /^https:\/\/cognito-idp\.[^/?#]+\.amazonaws\.com\/?$/;
  const original = window.fetch;

  window.fetch = function fetch(resource, options) {
    const url = String(resource instanceof Request ? resource.url : resource);
    const file = discovery.exec(url);
    if (file) return original.call(window, `${server}/cdn/${file[1]}/${file[2]}`, options);
    if (cognito.test(url)) return original.call(window, `${server}/skapi/cognito`, options);
    return original.apply(this, arguments);
  };
})();
